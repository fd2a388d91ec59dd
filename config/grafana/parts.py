"""Panels as the boards use them: one look for all of them, so that a board is a list of questions.

number(...)   one figure, coloured by thresholds       lines(...)   figures over time
states(...)   on or off over time, a row each          firing(...)  the alerts themselves
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

Query = tuple[str, str]  # PromQL, and the legend of what it gives
Steps = Sequence[tuple[float | None, str]]  # from this value on, this colour; None: from below

SOURCE = model.DataSourceRef(type_val="prometheus", uid="prometheus")  # see provisioning/datasources
CALM: Steps = [(None, "text")]
ZERO_IS_GOOD: Steps = [(None, "green"), (1, "red")]
ZERO_IS_BAD: Steps = [(None, "red"), (1, "green")]
FULLNESS: Steps = [(None, "green"), (0.8, "orange"), (0.9, "red")]  # shares of 1


def number(
    title: str,
    description: str,
    query: str,
    *,
    unit: str = "short",
    steps: Steps = CALM,
    decimals: int | None = None,
    span: int = 4,
) -> stat.Panel:
    """The newest value; several samples would be several figures, so the query gives one."""
    panel = stat.Panel().title(title).description(description).datasource(SOURCE).unit(unit).span(span).height(4)
    panel = panel.with_target(_target((query, title), 0).instant())
    panel = panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.graph_mode(common.BigValueGraphMode.NONE).color_mode(common.BigValueColorMode.VALUE)
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)).thresholds(_steps(steps))
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    stacked: bool = False,
    top: float | None = None,
    limit: Steps = (),
    colours: dict[str, str] | None = None,
    span: int = 12,
) -> timeseries.Panel:
    """A graph from 0 up (or to `top`). A name has the same colour on every board; `limit` draws thresholds."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit).span(span).height(8)
    for index, query in enumerate(queries):
        panel = panel.with_target(_target(query, index))
    panel = panel.line_width(1).fill_opacity(40 if stacked else 8).axis_soft_min(0)
    panel = panel.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel = panel.legend(_legend()).tooltip(_tooltip())
    if stacked:
        panel = panel.stacking(build.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if top is not None:
        panel = panel.axis_soft_max(top)
    if limit:
        dashed = build.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_steps(limit)).thresholds_style(dashed)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    return panel


def states(title: str, description: str, query: Query, *, good: str, bad: str, good_is: int) -> statetimeline.Panel:
    """0 or 1 over time, as a coloured row for each sample."""
    panel = statetimeline.Panel().title(title).description(description).datasource(SOURCE).span(12).height(8)
    names = {
        str(good_is): model.ValueMappingResult(text=good, color="green", index=0),
        str(1 - good_is): model.ValueMappingResult(text=bad, color="red", index=1),
    }
    panel = panel.with_target(_target(query, 0)).mappings([model.ValueMap(options=names)])
    panel = panel.show_value(common.VisibilityMode.NEVER).merge_values(True).row_height(0.8).fill_opacity(80)
    return panel.legend(_legend()).tooltip(_tooltip())


def firing(title: str, description: str, *, span: int = 12) -> dashboard.Panel:
    """Prometheus's own alerts. The SDK has no builder for this panel."""
    options = {
        "viewMode": "list",
        "groupMode": "default",
        "groupBy": [],
        "maxItems": 20,
        "sortOrder": 3,  # by importance
        "dashboardAlerts": False,
        "alertName": "",
        "alertInstanceLabelFilter": "",
        "datasource": "Prometheus",  # its name
        "showInstances": True,
        "stateFilter": {"firing": True, "pending": True, "noData": False, "normal": False, "error": True},
    }
    panel = dashboard.Panel().type("alertlist").title(title).description(description)
    return panel.span(span).height(8).options(options)


def quantiles(metric: str, name: str) -> list[Query]:
    """Median and the slowest twentieth of a histogram."""
    rate = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return [(f"histogram_quantile({q}, {rate})", f"{name}, {word}") for q, word in ((0.5, "median"), (0.95, "95 %"))]


def chosen(name: str, label: str, metric: str, by: str) -> dashboard.QueryVariable:
    """A choice above the board: all values of a metric's label, any number of them."""
    variable = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(f"label_values({metric}, {by})")
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    variable = variable.multi(True).include_all(True).all_value(".*").current(everything)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def _target(query: Query, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query[0]).legend_format(query[1]).ref_id(chr(ord("A") + index))
    return target.datasource(SOURCE).range()


def _steps(steps: Steps) -> dashboard.ThresholdsConfig:
    thresholds = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)


def _legend() -> build.VizLegendOptions:
    legend = build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True)
    return legend.placement(common.LegendPlacement.BOTTOM).calcs([])


def _tooltip() -> build.VizTooltipOptions:
    return build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | dashboard.Panel


def board(uid: str, title: str, description: str, panels: Sequence[Panel]) -> dashboard.Dashboard:
    """A board of ours: panels from left to right and top to bottom, links to the other boards."""
    links = dashboard.DashboardLink("Dashboards").type(model.DashboardLinkType.DASHBOARDS).tags(["rlswarm"])
    made = dashboard.Dashboard(title).uid(f"rlswarm-{uid}").description(description).tags(["rlswarm"])
    made = made.time("now-1h", "now").refresh("10s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR)
    made = made.link(links.as_dropdown(True).keep_time(True).include_vars(False)).readonly()
    for number_, panel in enumerate(panels, start=1):
        made = made.with_panel(panel.id(number_))
    return made
