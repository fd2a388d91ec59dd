"""The table of docs/speed.md and the plot beside the figures, both made from the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.trainer_peers.environment import ROOT
from services.trainer.tracking.canvas import canvas, save

RESULTS = ROOT / "benchmarks" / "results" / "trainer.json"
PLOT = RESULTS.with_suffix(".svg")
DOCUMENT = ROOT / "docs" / "speed.md"
MARKS = ("<!-- begin: trainer -->", "<!-- end: trainer -->")
NAMES = {"ours": "rlswarm", "genrl": "GenRL 0.3.0", "trl": "TRL 1.16"}
HEAD = (
    "| setting | engine | rounds a minute | we are faster by | generation, update | CPU time a round | peak memory "
    "| ours is | tokens | repetitions | threads |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)

Row = dict[str, Any]


def name(row: Row) -> str:
    """What an engine and its set-up are called."""
    size = f", minibatch {row['minibatch']}" if row["minibatch"] else ""
    return f"{NAMES[row['engine']]}{size}"


def ours(rows: Sequence[Row], setting: str) -> Row:
    """Our row of a setting."""
    return next(row for row in rows if (row["setting"], row["engine"]) == (setting, "ours"))


def table(rows: Sequence[Row]) -> list[str]:
    """The rows in Markdown, each compared with ours in the same setting."""
    lines = list(HEAD)
    for row in rows:
        own = ours(rows, row["setting"])
        faster, memory = own["rounds_per_minute"] / row["rounds_per_minute"], own["peak_rss_mib"] / row["peak_rss_mib"]
        compared = ("", "") if row is own else (f"{faster:.1f}x", f"{memory:.2f}x")
        lines.append(
            f"| {row['setting']} | {name(row)} | {row['rounds_per_minute']:g} | {compared[0]} "
            f"| {row['generation_s']:.3g} s, {row['update_s']:.3g} s | {row['cpu_s']:.3g} s "
            f"| {row['peak_rss_mib']} MiB | {compared[1]} "
            f"| {row['tokens']} | {row['repetitions']} | {row['threads']} |"
        )
    return lines


def document(rows: Sequence[Row], text: str) -> str:
    """The page with its table replaced by these rows."""
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return "\n".join([before + MARKS[0], "", *table(rows), "", MARKS[1]]) + after


def plot(rows: Sequence[Row], path: Path = PLOT) -> None:
    """Seconds of a round by engine, generation and the rest stacked; beside it the peak of memory."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    figure = canvas(10, 2.6 * len(settings))
    axes = figure.subplots(len(settings), 2, squeeze=False)
    for (time, memory), setting in zip(axes, settings, strict=True):
        shown = [row for row in rows if row["setting"] == setting][::-1]
        names = [name(row) for row in shown]
        generation = [row["generation_s"] for row in shown]
        rest = [row["round_s"] - row["generation_s"] for row in shown]
        time.barh(names, generation, label="generation", color="#4c78a8")
        time.barh(names, rest, left=generation, label="scoring and update", color="#f58518")
        for place, row in enumerate(shown):
            time.text(row["round_s"], place, f" {row['round_s']:.3g} s", va="center")
        time.set_title(f"{setting}: a round, seconds")
        time.margins(x=0.15)
        memory.barh(names, [row["peak_rss_mib"] for row in shown], color="#72b7b2")
        memory.set_title("peak memory, MiB")
        memory.tick_params(labelleft=False)
    axes[0][0].legend(loc="upper right")
    save(figure, path)
