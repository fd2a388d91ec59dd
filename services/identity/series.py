"""Lines for the charts: rounds put together so that a long history still fits on a screen, and smoothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from math import ceil
from statistics import fmean
from typing import Any, Literal

from services.identity.history import Noted
from services.identity.live import Peer, Step

Phase = Literal["generate", "exchange", "update", "checkpoint"]

POINTS = 200  # of a line
LINES = 16  # peers that have a line of their own; the mean is of all
BARS = 40  # of the bar charts: the latest rounds
SPARK = 48  # of a sparkline, over all rounds
LATEST = 10  # rounds that a speed is measured over
CREDIBLE = 1_000  # points: a reward lies between -1 and 1; what a stranger claims beyond counts as that
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


def curves(peers: Mapping[str, Peer], rounds: Mapping[int, Mapping[str, Noted]]) -> dict[str, Any]:
    """The main chart, three times: mean reward, tokens per completion and loss, by round.

    A line for each own peer, their smoothed mean, and for rewards that of all peers on the chain.
    """
    return {
        "reward": _curve(peers, lambda step: step.reward, swarm_means(rounds)),
        "length": _curve(peers, lambda step: step.tokens / step.completions if step.completions else None),
        "loss": _curve(peers, lambda step: step.loss),
    }


def swarm_means(rounds: Mapping[int, Mapping[str, Noted]]) -> dict[int, float]:
    """Round -> mean reward of all peers that have one on the chain."""
    points = {
        number: [max(-CREDIBLE, min(CREDIBLE, noted.points)) for noted in notes.values() if noted.points is not None]
        for number, notes in rounds.items()
    }
    return {number: fmean(found) / 1000 for number, found in points.items() if found}


def _curve(
    peers: Mapping[str, Peer], value: Callable[[Step], float | None], swarm: Mapping[int, float] | None = None
) -> dict[str, Any]:
    found = {id_: {n: v for n, s in peer.steps.items() if (v := value(s)) is not None} for id_, peer in peers.items()}
    # Where this household has trained, the chart shows the swarm at the same time; else all that the chain knows.
    first = min((n for line in found.values() for n in line), default=0)
    others = {number: mean for number, mean in (swarm or {}).items() if number >= first}
    size = width([*(n for line in found.values() for n in line), *others])
    lines = {id_: thin(line, size) for id_, line in found.items() if line}
    everyone = thin(others, size)
    rounds = sorted({*everyone, *(number for line in lines.values() for number in line)})
    own = {n: fmean(at) for n in rounds if (at := [line[n] for line in lines.values() if n in line])}
    return {
        "rounds": rounds,
        "mean": _smoothed(own, rounds),
        "swarm": _smoothed(everyone, rounds),
        "lines": {id_: [_short(line.get(n)) for n in rounds] for id_, line in islice(lines.items(), LINES)},
    }


def _smoothed(values: Mapping[int, float], rounds: Sequence[int]) -> list[float | None]:
    """The moving mean at each round that has a value."""
    line = dict(zip(values, smooth(list(values.values()), max(1, len(values) // 12)), strict=True))
    return [_short(line.get(number)) for number in rounds]


def spark(values: Mapping[int, float]) -> list[float]:
    """A small line from the first round to the latest."""
    return [round(value, 3) for value in thin(values, width(values, SPARK)).values()]


def speed(peer: Peer) -> tuple[float | None, float | None]:
    """Tokens sampled per second, and rounds per minute, over the latest rounds; None where too little is known."""
    latest = list(islice(reversed(peer.steps.values()), LATEST))
    seconds = sum(step.seconds.get("generate", 0.0) for step in latest)
    passed = sum(abs(later.at - earlier.at) for later, earlier in pairwise(latest))
    tokens = sum(step.tokens for step in latest)
    return (
        float(f"{tokens / seconds:.3g}") if seconds else None,
        float(f"{60 * (len(latest) - 1) / passed:.3g}") if passed else None,
    )


def pace(peers: Mapping[str, Peer]) -> dict[str, Any]:
    """The bar charts: of the latest rounds, mean seconds by phase and mean groups by origin."""
    by_round: dict[int, list[Step]] = defaultdict(list)
    for peer in peers.values():
        for number, step in peer.steps.items():
            by_round[number].append(step)
    rounds = sorted(by_round)[-BARS:]
    steps = [by_round[number] for number in rounds]
    return {
        "rounds": rounds,
        "seconds": {p: [round(fmean(s.seconds.get(p, 0.0) for s in row), 3) for row in steps] for p in PHASES},
        "groups": {
            "local": [round(fmean(s.local for s in row), 2) for row in steps],
            "external": [round(fmean(s.external for s in row), 2) for row in steps],
        },
    }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
