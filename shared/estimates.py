"""What a sample of questions tells about all of them: rates and means with 95 % confidence intervals. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

Z = 1.959964  # of the normal distribution, for 95 %
RESAMPLES = 2_000


@dataclass(frozen=True)
class Estimate:
    """A value, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def rate(passed: Sequence[bool]) -> Estimate:
    """The share that passed, with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22, 209-212).

    Unlike the normal approximation it is no point at 0 and 1, and right for few questions. Raises ValueError for none.
    """
    if not passed:
        raise ValueError("nothing was asked")
    n, share = len(passed), fmean(passed)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    reach = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return Estimate(share, max(0.0, middle - reach), min(1.0, middle + reach))


def mean(values: Sequence[float], random: Random) -> Estimate:
    """The mean, with the percentile interval of a bootstrap over the values (Efron 1979, Ann. Stat. 7, 1-26).

    One value a question: the samples of one question are no independent evidence. Raises ValueError for none.
    """
    if not values:
        raise ValueError("nothing was asked")
    means = sorted(fmean(random.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(fmean(values), means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))])


def difference(before: Sequence[float], after: Sequence[float], random: Random) -> Estimate:
    """How much the mean grew on the same questions: the bootstrap of the questions' own differences.

    Raises ValueError if the two are not of equal length, or empty.
    """
    return mean([new - old for old, new in zip(before, after, strict=True)], random)
