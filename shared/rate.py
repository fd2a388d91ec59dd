"""How many signatures a while, pure: a bucket that fills steadily and is emptied by use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bucket:
    """`level` tokens at time `at` (seconds, any clock that does not go back)."""

    capacity: float
    per_s: float
    level: float
    at: float

    def take(self, number: int, now: float) -> tuple[Bucket, bool]:
        """The bucket after `number` were asked for, and whether there were as many."""
        level = min(self.capacity, self.level + max(0.0, now - self.at) * self.per_s)
        enough = level >= number
        return Bucket(self.capacity, self.per_s, level - number * enough, now), enough
