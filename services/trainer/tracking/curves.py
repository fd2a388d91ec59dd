"""How a run went, in four plots: correctness reward, total reward, loss, completion length, by round.

python -m services.trainer.tracking.curves HISTORY OUT       HISTORY: a folder of history files; OUT: .svg, .png or .pdf
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from services.trainer.tracking.canvas import canvas, save
from services.trainer.tracking.history import read_histories
from services.trainer.tracking.numbers import CORRECTNESS, LENGTH, LOSS, TOTAL
from services.trainer.tracking.tracker import Point
from shared.errors import SwarmError
from shared.names import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOTS = (
    (CORRECTNESS, "correctness reward"),
    (TOTAL, "total reward"),
    (LOSS, "loss, nats"),
    (LENGTH, "tokens a completion"),
)
NAMED = 8  # peers; of more only the mean is told from the others
SMOOTH_OVER = 12  # the mean line is smoothed over one such part of the run

Curve = dict[int, float]  # by round


def draw(histories: Mapping[str, Sequence[Point]], out: Path) -> None:
    """Draw each peer's curves, and their mean. Raises SwarmError: nothing to draw, nothing to draw with, bad name."""
    if not any(histories.values()):
        raise SwarmError("no round has been trained yet, or none was written down", "see that the run's name is right")
    figure = canvas(11, 7)
    for axes, (name, title) in zip(figure.subplots(2, 2, sharex=True).flat, PLOTS, strict=True):
        _plot(axes, {peer: curve(points, name) for peer, points in histories.items()})
        axes.set_title(title)
        axes.grid(visible=True, alpha=0.3)
    for axes in figure.axes[2:]:
        axes.set_xlabel("round")
    figure.axes[0].legend(fontsize="small")
    save(figure, out)


def curve(points: Sequence[Point], name: str) -> Curve:
    """A number by round; of a round with stages, the mean of those that have it."""
    found: dict[int, list[float]] = {}
    for point in points:
        if name in point.values:
            found.setdefault(point.round, []).append(point.values[name])
    return {number: fmean(values) for number, values in sorted(found.items())}


def mean(curves: Sequence[Curve]) -> Curve:
    """The mean over the peers that have each round."""
    rounds = sorted({number for one in curves for number in one})
    return {number: fmean(one[number] for one in curves if number in one) for number in rounds}


def smooth(one: Curve, width: int) -> Curve:
    """Each round's mean with those before it, `width` rounds in all; of the first rounds, as many as there are."""
    values = list(one.values())
    return {number: fmean(values[max(0, place - width + 1) : place + 1]) for place, number in enumerate(one)}


def _plot(axes: Axes, curves: Mapping[str, Curve]) -> None:
    for peer, one in curves.items():
        label = name_of(peer) if len(curves) <= NAMED else None
        axes.plot(list(one), list(one.values()), linewidth=0.8, alpha=0.5, label=label)
    every = mean(list(curves.values()))
    line = smooth(every, max(1, len(every) // SMOOTH_OVER))
    axes.plot(list(line), list(line.values()), linewidth=2, color="black", label="mean, smoothed")


def main(arguments: Sequence[str]) -> None:
    """Entry point: an expected failure is one line."""
    try:
        folder, out = map(Path, arguments)
        draw(read_histories(folder), out)
    except SwarmError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
