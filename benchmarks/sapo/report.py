"""The rows of a study as JSON, as tables of ratios, and as a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from benchmarks.sapo.intervals import Ratio, ratio
from benchmarks.sapo.run import Row
from benchmarks.sapo.study import Study
from services.trainer.tracking.canvas import canvas, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE, SHARED = "8/0", "4/4"
CURVES, SMOOTH = ("8/0", "6/2", "4/4", "2/6", "4/0"), 5
SHOWN = (0.5, 2.0)  # of the ratios: the intervals of few seeds are wide
Measure = Callable[[Row], float]


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """A JSON list, a run a line."""
    lines = ",\n".join(json.dumps(row.model_dump()) for row in rows)
    path.write_text(f"[\n{lines}\n]\n")


def tables(rows: Sequence[Row], study: Study) -> str:
    """A table for each regime, in Markdown: means over the seeds, and ratios to 8/0 (and to 4/4) with intervals."""
    by_regime = {regime: [row for row in rows if row.regime == regime] for regime in study.regimes}
    return "\n".join(_table(regime, found, study) for regime, found in by_regime.items() if found)


def compare(rows: Sequence[Row], arm: str, reference: str, measure: Measure) -> Ratio | None:
    """An arm by another on the same seeds; None where they share no seed."""
    ours, theirs = (
        {row.seed: measure(row) for row in rows if row.arm == name} for name in (arm, reference)
    )  # fmt: skip
    return ratio(ours, theirs)


def _table(regime: str, rows: Sequence[Row], study: Study) -> str:
    arms = [arm for arm in study.arms if any(row.arm == arm for row in rows)]
    start = fmean(row.informative[0] for row in rows)
    head = [
        f"**{regime}**, {study.regimes[regime].rounds} rounds; in the first, {start:.0%} of the groups are informative",
        "",
        "| I/J | seeds | cumulative reward | by 8/0 | by 4/4 | per million tokens, by 8/0 | final level | by 8/0 "
        "| informative groups in an update: first third, all |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_line(arm, rows) for arm in arms), ""])


def _line(arm: str, rows: Sequence[Row]) -> str:
    mine = [row for row in rows if row.arm == arm]
    updates = [[a + b for a, b in zip(row.local_groups, row.external_groups, strict=True)] for row in mine]
    early = fmean(fmean(update[: max(1, len(update) // 3)]) for update in updates)
    cells = (
        arm,
        str(len(mine)),
        f"{fmean(row.cumulative_reward for row in mine):.2f}",
        _cell(rows, arm, REFERENCE, _cumulative),
        _cell(rows, arm, SHARED, _cumulative),
        _cell(rows, arm, REFERENCE, _per_token),
        f"{fmean(row.final_level for row in mine):.3f}",
        _cell(rows, arm, REFERENCE, _final),
        f"{early:.1f}, {fmean(fmean(update) for update in updates):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def _cell(rows: Sequence[Row], arm: str, reference: str, measure: Measure) -> str:
    """A ratio, bold where its interval leaves out 1."""
    found = None if arm == reference else compare(rows, arm, reference, measure)
    if found is None:
        return ""
    return f"**{found}**" if found.differs else str(found)


def plot(rows: Sequence[Row], study: Study, path: Path) -> None:
    """For each regime: reward by round of the four ratios above, and every arm's cumulative reward by 8/0 below."""
    figure = canvas(5 * len(study.regimes), 8)
    axes = figure.subplots(2, len(study.regimes), squeeze=False)
    for place, regime in enumerate(study.regimes):
        found = [row for row in rows if row.regime == regime]
        _curves(axes[0][place], regime, found, study)
        _ratios(axes[1][place], found, study)
    save(figure, path)


def _curves(axes: Axes, regime: str, rows: Sequence[Row], study: Study) -> None:
    """Reward by round, mean over the seeds; running mean of five rounds."""
    for place, arm in enumerate(CURVES):
        mine = [row for row in rows if row.arm == arm]
        if mine:  # not every arm is run in every regime
            means = [fmean(values) for values in zip(*(row.reward for row in mine), strict=True)]
            smooth = [fmean(means[max(0, at - SMOOTH + 1) : at + 1]) for at in range(len(means))]
            axes.plot(range(1, len(smooth) + 1), smooth, label=arm, color=f"C{place}")
    axes.set(
        title=f"{regime}: {study.regimes[regime].rounds} rounds", xlabel="round", ylabel="mean reward", ylim=(0, 1)
    )
    if axes.lines:
        axes.legend(title="I/J")


def _ratios(axes: Axes, rows: Sequence[Row], study: Study) -> None:
    """Cumulative reward of every arm by that of 8/0, with its interval, and what each seed gave."""
    arms = [arm for arm in study.arms if arm != REFERENCE and any(row.arm == arm for row in rows)]
    for place, arm in enumerate(arms):
        found = compare(rows, arm, REFERENCE, _cumulative)
        if found is None:
            continue
        if found.seeds > 1:
            axes.plot([found.low, found.high], [place, place], color="grey")
        axes.plot(found.mean, place, "o", color="black")
        for seed in {row.seed for row in rows}:
            one = compare([row for row in rows if row.seed == seed], arm, REFERENCE, _cumulative)
            if one is not None:
                axes.plot(one.mean, place, "|", color="tab:blue")
    axes.axvline(1, linestyle=":", color="black")
    axes.set_yticks(range(len(arms)), arms)
    axes.invert_yaxis()
    axes.set(xlabel="cumulative reward by that of 8/0, 95 % interval", xlim=SHOWN)


def _cumulative(row: Row) -> float:
    return row.cumulative_reward


def _per_token(row: Row) -> float:
    return row.reward_per_million_tokens


def _final(row: Row) -> float:
    return row.final_level
