"""Which tasks a swarm trains on, and which of them are kept for judging: the words trainer and judge share.

reasoning-gym makes item `i` of a set with seed `s` from the random state `s + i`. Seeds here are even, training takes
the even items and judging the odd ones, so no state is ever used for both, whatever the seeds.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydantic import Field

from shared.settings import Settings


class TaskSet(Settings):
    """One reasoning-gym generator in a mix."""

    name: str
    weight: float = Field(gt=0)
    config: dict[str, Any] = Field(default_factory=dict)  # the generator's own settings, its defaults where left out


class Mix(Settings):
    """A weighted mix of generators (config group `data`)."""

    name: str
    datasets: tuple[TaskSet, ...] = Field(min_length=1)


def seed_of(*words: str | int) -> int:
    """An even seed below 2^31 that follows from the words."""
    digest = sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 & ~1


def training_item(number: int) -> int:
    """Index of the `number`-th question for training."""
    return 2 * number


def judging_item(number: int) -> int:
    """Index of the `number`-th question for judging."""
    return 2 * number + 1
