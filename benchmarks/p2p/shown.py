"""The rows as JSON, as plots, and as the tables of docs/network.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.trainer.tracking.canvas import canvas, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "network.md"
COLOURS = {"ours": "#4c78a8", "ours, J groups": "#72b7b2", "one key": "#f58518"}
Row = dict[str, Any]


def write(rows: Sequence[Row], path: Path) -> None:
    """A JSON list, a row a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def table(rows: Sequence[Row]) -> list[str]:
    """What was measured, in Markdown."""
    head = "| peers | a body | spread | engine | bytes | CPU | complete | seconds |"
    return [
        head,
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['peers']} | {row['kilobytes']} KB | {row['spread_seconds']:g} s | {row['engine']} "
            f"| {row['bytes'] / 1e6:.1f} MB | {row['cpu_seconds']} s | {row['complete_peers']} of {row['peers']} "
            f"| {row['seconds']} |"
            for row in rows
        ),
    ]


def scale_table(rows: Sequence[Row]) -> list[str]:
    """What was computed, in Markdown: the settled swarm, and the first and third round of the others."""
    shown = [row for row in rows if row["kind"] == "settled" or row["round"] in (1, 3)]
    head = "| peers | kind | round | KB a node and round | bodies | buckets read | J groups found |"
    return [
        head,
        "|---|---|---|---|---|---|---|",
        *(
            f"| {row['peers']:,} | {row['kind']} | {'settled' if row['kind'] == 'settled' else row['round']} "
            f"| {row['bytes'] / 1e3:.0f} | {row['bodies']:.1f} | {row['looks']:.1f} | {row['found']:.0%} |"
            for row in shown
        ),
    ]


def document(rows: Sequence[Row], scaled: Sequence[Row], text: str) -> str:
    """The page with its tables replaced by these rows."""
    for name, lines in (("p2p", table(rows)), ("p2p-scale", scale_table(scaled))):
        begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        text = "\n".join([before + begin, "", *lines, "", end]) + rest.partition(end)[2]
    return text


def plot(rows: Sequence[Row], path: Path) -> None:
    """Megabytes by peers, and how many peers are complete, for each size of a body, all ending at once."""
    sizes = list(dict.fromkeys(row["kilobytes"] for row in rows))
    figure = canvas(5 * len(sizes), 6)
    axes = figure.subplots(2, len(sizes), squeeze=False)
    for place, size in enumerate(sizes):
        mine = [row for row in rows if row["kilobytes"] == size and not row["spread_seconds"]]
        for engine, colour in COLOURS.items():
            found = sorted((row for row in mine if row["engine"] == engine), key=lambda row: row["peers"])
            peers = [row["peers"] for row in found]
            _line(axes[0][place], peers, [row["bytes"] / 1e6 for row in found], engine, colour)
            _line(axes[1][place], peers, [row["complete_peers"] / row["peers"] for row in found], engine, colour)
        axes[0][place].set(title=f"bodies of {size} KB", ylabel="megabytes, all peers together", yscale="log")
        axes[1][place].set(xlabel="peers", ylabel="share of peers with all they want", ylim=(-0.05, 1.05))
    axes[0][0].legend()
    save(figure, path)


def plot_scale(rows: Sequence[Row], path: Path) -> None:
    """Kilobytes a node and round, and the probability of finding J groups, by the swarm's size."""
    figure = canvas(10, 4)
    cost, found = figure.subplots(1, 2)
    for place, kind in enumerate(dict.fromkeys(row["kind"] for row in rows)):
        mine = [row for row in rows if row["kind"] == kind and (kind == "settled" or row["round"] == 1)]
        label = kind if kind == "settled" else f"{kind}, first round"
        peers = [row["peers"] for row in mine]
        _line(cost, peers, [row["bytes"] / 1e3 for row in mine], label, f"C{place}")
        _line(found, peers, [row["found"] for row in mine], label, f"C{place}")
    cost.set(xscale="log", ylim=(0, None), xlabel="peers", ylabel="kilobytes a node and round")
    found.set(xscale="log", ylim=(0, 1.05), xlabel="peers", ylabel="share of rounds in which J groups are found")
    cost.legend()
    save(figure, path)


def _line(axes: Axes, across: Sequence[float], up: Sequence[float], label: str, colour: str) -> None:
    axes.plot(across, up, "o-", label=label, color=colour)
