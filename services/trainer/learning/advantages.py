"""Group-relative advantages (GRPO, arXiv 2402.03300, section 4.1.2; without the division: arXiv 2503.20783)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from services.trainer.settings import Scaling

# TRL's guard against rewards that are almost equal.
STD_FLOOR = 1e-4


def advantages(rewards: Sequence[float], *, scale: bool) -> list[float]:
    """Reward minus the group's mean; divided by the group's sample standard deviation if `scale`.

    `rewards`: of the G completions of one question. Returns G numbers that sum to 0.
    """
    mean = fmean(rewards)
    return _divided([reward - mean for reward in rewards], rewards if scale else ())


def batch_advantages(groups: Sequence[Sequence[float]], scaling: Scaling) -> list[float]:
    """Advantages of the completions of several groups, in order.

    Divided by the sample standard deviation of the rewards of the `group`, of the whole `batch` (arXiv 2508.08221), or
    not at all (`none`).
    """
    found = [value for rewards in groups for value in advantages(rewards, scale=scaling == "group")]
    return _divided(found, [reward for rewards in groups for reward in rewards] if scaling == "batch" else ())


def informative(rewards: Sequence[float]) -> bool:
    """False when all rewards of a group are equal: every advantage is zero and nothing can be learnt from it."""
    return max(rewards) - min(rewards) > 1e-9


def _divided(values: list[float], rewards: Sequence[float]) -> list[float]:
    if len(rewards) < 2:
        return values
    deviation = stdev(rewards) + STD_FLOOR
    return [value / deviation for value in values]
