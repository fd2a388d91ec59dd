"""What a run looks like in the terminal. Pure: a snapshot goes in, something that rich can print comes out."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from services.cli.text import duration, plot, reward, sparkline
from services.local.snapshot import ServiceRow, Snapshot
from services.local.summary import Summary

TREND_WIDTH = 10
_COLOURS = {"ok": "green", "degraded": "yellow", "stuck": "red", "starting": "cyan", "ended": "dim"}


def condition(service: ServiceRow) -> str:
    """One word for a service: its own if it has reported, else what its process does."""
    if service.status:
        return service.status
    if service.process in ("EXITED", "STOPPED", "STOPPING"):
        return "ended"
    if service.process == "RUNNING" and service.name in ("redis", "chain"):
        return "ok"  # they do not report; that they have lived for a while must do
    return "starting" if service.process in ("STARTING", "RUNNING") else service.process.lower()


def live(snapshot: Snapshot) -> RenderableType:
    """The screen of `rlswarm up`."""
    return Group(_head(snapshot), _bar(snapshot), peers(snapshot), services(snapshot), Text(_foot(snapshot), "dim"))


def peers(snapshot: Snapshot) -> Table:
    """A line for every peer of this household."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("peer")
    for title in ("round", "reward", "last 10"):
        table.add_column(title, justify="right")
    table.add_column("trend", min_width=TREND_WIDTH)
    for title in ("external", "on chain"):
        table.add_column(title, justify="right")
    for row in snapshot.peers:
        cells = (str(row.round), reward(row.reward), reward(row.recent), sparkline(row.rewards, TREND_WIDTH))
        table.add_row(row.name, *cells, str(row.external_groups), f"{row.points / 1000:.2f}")
    return table


def services(snapshot: Snapshot, *, full: bool = False) -> Table:
    """A line for every program; `full` adds pid, port and links with others."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service", min_width=12)
    table.add_column("state")
    if full:
        table.add_column("pid", justify="right")
        table.add_column("health", justify="right")
    table.add_column("why", overflow="fold")
    for row in snapshot.services:
        word = condition(row)
        cells: list[RenderableType] = [row.name, Text(word, _COLOURS.get(word, "red"))]
        if full:
            cells += [str(row.pid or "-"), str(row.port or "-")]
        told = [row.reason, row.links if full else ""]
        table.add_row(*cells, "; ".join(filter(None, told)))
    return table


def line(snapshot: Snapshot) -> str:
    """The same as one plain line, for logs and pipes."""
    bad = [f"{row.name} {condition(row)}" for row in snapshot.services if condition(row) not in ("ok", "ended")]
    parts = [
        f"round {_round(snapshot)}",
        f"reward {reward(snapshot.reward)}",
        f"on chain {sum(row.points for row in snapshot.peers) / 1000:.2f}",
        f"from peers {sum(row.external_groups for row in snapshot.peers)}",
        f"restarts {snapshot.restarts}",
        f"left {duration(snapshot.seconds_left)}",
        ", ".join(bad) or "all services ok",
    ]
    return "  ".join(parts)


def result(name: str, summary: Summary, rewards: tuple[float, ...]) -> RenderableType:
    """What a finished run came to."""
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "rounds": f"{summary.rounds} in {duration(summary.seconds)}",
        "peers": str(summary.peers),
        "reward": f"{reward(summary.reward_first10)} in the first 10 rounds, "
        f"{reward(summary.reward_last10)} in the last 10",
        "from peers": f"{summary.external_groups_trained} question groups trained on",
        "on chain": f"{summary.rewards_on_chain} rewards, {summary.winners_on_chain} votes",
        "contract": f"{summary.contract or '-'} at {summary.chain_url}",
        "rejected": f"{summary.records_rejected} records of peers",
        "restarts": str(summary.restarts),
    }
    for key, value in rows.items():
        table.add_row(Text(key, "bold"), value)
    chart = Text("\n".join(["", "mean reward by round", *plot(rewards)]), "cyan")
    return Panel(Group(table, chart if rewards else ""), title=f"{name} is through", expand=False)


def _head(snapshot: Snapshot) -> Text:
    text = Text.assemble((snapshot.name, "bold"), "  ", (snapshot.page, "underline cyan"))
    text.append(f"  up {duration(snapshot.elapsed_s)}", "dim")
    return text


def _bar(snapshot: Snapshot) -> RenderableType:
    label = Text(f"round {_round(snapshot)}  reward {reward(snapshot.reward)}  {sparkline(snapshot.rewards, 30)}")
    if snapshot.rounds is None:
        return label
    done = snapshot.rounds if snapshot.finished else snapshot.round or 0
    line_of_bar = Table.grid(padding=(0, 1))
    line_of_bar.add_row(ProgressBar(snapshot.rounds, done, width=30), label, f"left {duration(snapshot.seconds_left)}")
    return line_of_bar


def _round(snapshot: Snapshot) -> str:
    number = "-" if snapshot.round is None else str(snapshot.round)
    return number if snapshot.rounds is None else f"{number}/{snapshot.rounds}"


def _foot(snapshot: Snapshot) -> str:
    restarts = f"{snapshot.restarts} restart{'' if snapshot.restarts == 1 else 's'}"
    return f"{restarts}   Ctrl-C stops everything in order"
