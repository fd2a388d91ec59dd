"""Numbers as people read them in a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import fmean

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """The values from the lowest to the highest bar; more than `width` of them are averaged into that many."""
    if not values:
        return ""
    points = shrink(values, width)
    low, high = min(points), max(points)
    if high - low < 1e-12:
        return _BARS[len(_BARS) // 2] * len(points)
    return "".join(_BARS[round((point - low) / (high - low) * (len(_BARS) - 1))] for point in points)


def plot(values: Sequence[float], width: int = 60, height: int = 6) -> list[str]:
    """The values as a block chart, highest line first, with the scale at its left."""
    if not values:
        return []
    points = shrink(values, width)
    low, high = min(points), max(points)
    spread = (high - low) or 1.0
    lines = []
    for row in reversed(range(height)):
        scale = low + spread * (row + 0.5) / height
        lines.append(f"{scale:7.3f} ┤" + "".join(_cell((point - low) / spread * height - row) for point in points))
    return lines


def shrink(values: Sequence[float], width: int) -> list[float]:
    """At most `width` means of consecutive values."""
    if len(values) <= width:
        return list(values)
    bounds = [index * len(values) // width for index in range(width + 1)]
    return [fmean(values[start:end]) for start, end in itertools.pairwise(bounds)]


def reward(value: float | None) -> str:
    """A reward with three digits; a dash where there is none yet."""
    return "-" if value is None else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """`1h02m`, `3m05s`, `12s`; a dash where it is not known."""
    if seconds is None:
        return "-"
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def _cell(fill: float) -> str:
    if fill <= 0:
        return " "
    return _BARS[min(len(_BARS) - 1, int(fill * len(_BARS)))]
