"""Which buckets of a round are read. Pure: randomness comes in as an argument.

one bucket of our level, again and again                until there is enough in it
--> full, and still not enough: one more of that level
--> nearly empty, when others should have announced: a bucket of another level, the next ones first,
    as whoever takes the swarm for larger or smaller than we do writes there
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from services.p2p.traffic.survey import SEEN
from services.p2p.wire.buckets import MAX_LEVEL, THIN, Place

MAX_PLACES = 16  # buckets read in one stage, those of other levels not counted
RIPE = THIN // 2  # entries on average above which more can be had only elsewhere


class Watch:
    """The buckets of one round and stage."""

    def __init__(self, round_number: int, stage: int, level: int, random: Random, first: Iterable[int] = ()) -> None:
        """`first`: the buckets of our level to begin with, if not any."""
        self._round, self._stage, self._random = round_number, stage, random
        self.entries: dict[Place, int] = {}  # the most that was seen in each
        self.level = self._own = level
        for bucket in list(dict.fromkeys(first))[:MAX_PLACES] or [random.randrange(2**level)]:
            self.entries[Place(round_number, stage, level, bucket)] = 0

    def _add(self, level: int) -> Place:
        taken = {place.bucket for place in self.entries if place.level == level}
        while (bucket := self._random.randrange(2**level)) in taken:
            pass
        place = Place(self._round, self._stage, level, bucket)
        self.entries[place] = 0
        return place

    @property
    def current(self) -> list[Place]:
        """The buckets of the level at which most peers were found."""
        return [place for place in self.entries if place.level == self.level]

    def next(self, ceiling: int, *, overdue: bool, widen: bool = True) -> list[Place]:
        """What to read now, as more is needed.

        `ceiling`: the highest level that makes sense; `overdue`: whoever announces should have done so; `widen`: what
        is in other buckets than these is wanted too.
        """
        current = self.current
        mean = sum(self.entries[place] for place in current) / len(current)
        full = mean >= RIPE
        if full and not widen:
            return current
        if full and len(current) < min(2**self.level, MAX_PLACES):
            return [*current, self._add(self.level)]
        unread = set(range(self._top(ceiling) + 1)) - {place.level for place in self.entries}
        if overdue and unread:
            return [*current, self._add(min(unread, key=lambda level: (abs(level - self._own), level)))]
        return current

    def _top(self, ceiling: int) -> int:
        """One level more than anybody thinks there are; a swarm that fits into one bucket has no other."""
        highest = max(ceiling, self._own)
        return min(highest + 1, MAX_LEVEL) if highest else 0

    def note(self, place: Place, entries: int) -> None:
        """So many announcements were found there just now."""
        self.entries[place] = max(self.entries[place], entries)
        self.level = max({place.level for place in self.entries}, key=self._peers)

    def _peers(self, level: int) -> tuple[float, bool]:
        found = [count for place, count in self.entries.items() if place.level == level]
        told = sum(found) if level == 0 or sum(found) >= SEEN else 0
        return told / len(found) * 2**level, level == self._own
