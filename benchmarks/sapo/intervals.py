"""Ratios of runs with the same seeds, with their intervals. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, inf, log, sqrt
from statistics import fmean, stdev

# Student's t, two-sided 95 %, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of ratios and its 95 % interval."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def differs(self) -> bool:
        """1 is outside of the interval."""
        return not self.low <= 1 <= self.high

    def __str__(self) -> str:
        bounds = f" ({self.low:.2f} - {self.high:.2f})" if self.seeds > 1 else ""
        return f"{self.mean:.2f}{bounds}"


def ratio(ours: Mapping[int, float], reference: Mapping[int, float]) -> Ratio | None:
    """`ours` by `reference` over the seeds that both have; None if there are none, or one of the numbers is 0.

    The interval is Student's for the mean of the logarithms: one seed, one observation. With one seed it is endless.
    """
    seeds = sorted(ours.keys() & reference.keys())
    if not seeds or not all(ours[seed] > 0 and reference[seed] > 0 for seed in seeds):
        return None
    logs = [log(ours[seed] / reference[seed]) for seed in seeds]
    mean = fmean(logs)
    wide = STUDENT[len(logs) - 1] * stdev(logs) / sqrt(len(logs)) if len(logs) > 1 else inf
    return Ratio(exp(mean), exp(mean - wide), exp(min(mean + wide, 700.0)), len(logs))
