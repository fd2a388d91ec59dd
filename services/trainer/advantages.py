"""Group-relative advantages (GRPO, arXiv 2402.03300, section 4.1.2; without the division: arXiv 2503.20783)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

# TRL's guard against a group whose rewards are almost equal.
STD_FLOOR = 1e-4


def advantages(rewards: Sequence[float], *, scale: bool) -> list[float]:
    """Reward minus the group's mean; divided by the group's sample standard deviation if `scale`.

    `rewards`: of the G completions of one question. Returns G numbers that sum to 0.
    """
    mean = fmean(rewards)
    centred = [reward - mean for reward in rewards]
    if not scale or len(rewards) < 2:
        return centred
    deviation = stdev(rewards) + STD_FLOOR
    return [value / deviation for value in centred]


def informative(rewards: Sequence[float]) -> bool:
    """False when all rewards of a group are equal: every advantage is zero and nothing can be learnt from it."""
    return max(rewards) - min(rewards) > 1e-9
