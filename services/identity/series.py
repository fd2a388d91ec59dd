"""Lines for the charts: rounds put together so that a long history still fits on a screen, and smoothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from statistics import fmean
from typing import Any, Literal

from services.identity.live import Peer
from shared.messages import Trained

Phase = Literal["generate", "exchange", "update", "checkpoint"]

POINTS = 240  # of a line
BARS = 40  # of the bar charts: the latest rounds
SPARK = 48  # of a sparkline, over all rounds
PHASES: tuple[Phase, ...] = ("generate", "exchange", "update", "checkpoint")


def width(rounds: Iterable[int], points: int = POINTS) -> int:
    """How many rounds one point stands for."""
    known = list(rounds)
    return max(1, ceil((max(known) - min(known) + 1) / points)) if known else 1


def thin(values: Mapping[int, float], size: int) -> dict[int, float]:
    """Mean of each `size` rounds, under the first number of these rounds."""
    bins: dict[int, list[float]] = defaultdict(list)
    for number in sorted(values):
        bins[number // size * size].append(values[number])
    return {number: fmean(bin_) for number, bin_ in bins.items()}


def smooth(values: Sequence[float], span: int) -> list[float]:
    """Exponential moving mean whose weights are right from the first value on."""
    keep, total, weight, out = 1 - 2 / (span + 1), 0.0, 0.0, list[float]()
    for value in values:
        total, weight = total * keep + value, weight * keep + 1
        out.append(total / weight)
    return out


def rewards(peers: Mapping[str, Peer]) -> dict[str, Any]:
    """The main chart: mean reward by round, a line for each peer and one, smoothed, for their mean."""
    size = width(number for peer in peers.values() for number in peer.steps)
    lines = {id_: thin({n: s.mean_reward for n, s in peer.steps.items()}, size) for id_, peer in peers.items()}
    lines = {id_: line for id_, line in lines.items() if line}
    rounds = sorted({number for line in lines.values() for number in line})
    means = [fmean(line[n] for line in lines.values() if n in line) for n in rounds]
    return {
        "rounds": rounds,
        "mean": [round(value, 4) for value in smooth(means, max(1, len(means) // 12))],
        "lines": {id_: [_short(line.get(n)) for n in rounds] for id_, line in lines.items()},
    }


def spark(peer: Peer) -> list[float]:
    """A peer's mean rewards from its first round to its latest."""
    values = {number: step.mean_reward for number, step in peer.steps.items()}
    return [round(value, 3) for value in thin(values, width(values, SPARK)).values()]


def pace(peers: Mapping[str, Peer]) -> dict[str, Any]:
    """The bar charts: of the latest rounds, mean seconds by phase and mean groups by origin."""
    by_round: dict[int, list[Trained]] = defaultdict(list)
    for peer in peers.values():
        for number, step in peer.steps.items():
            by_round[number].append(step)
    rounds = sorted(by_round)[-BARS:]
    steps = [by_round[number] for number in rounds]
    return {
        "rounds": rounds,
        "seconds": {p: [round(fmean(s.seconds.get(p, 0.0) for s in row), 3) for row in steps] for p in PHASES},
        "groups": {
            "local": [round(fmean(s.local_groups for s in row), 2) for row in steps],
            "external": [round(fmean(s.external_groups for s in row), 2) for row in steps],
        },
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
