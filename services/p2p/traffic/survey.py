"""How many peers announce in a round, as far as this household can tell: it decides into how many buckets they go.

Counted in the buckets that it reads: what is seen there, times the number of buckets. Nobody can say more than by
being there, and in which bucket somebody stands is not theirs to choose. A household that found nobody, or has not
looked yet, starts from how many nodes the DHT has. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.p2p.wire.buckets import Place, level_of

NEWEST = 0.5  # weight of the newest round
SEEN = 4  # entries that a level's buckets must hold together for its count to mean anything


def counted(entries: Mapping[Place, int]) -> float:
    """The number of peers by the entries of some buckets; 0.0 if too few were found.

    The level that tells of most peers is right: one that is too low or too high for the swarm holds only a part.
    """
    sizes = [0.0]
    for level in {place.level for place in entries}:
        found = [count for place, count in entries.items() if place.level == level]
        if level == 0 or sum(found) >= SEEN:
            sizes.append(sum(found) / len(found) * 2**level)
    return max(sizes)


class Survey:
    """A running mean over the rounds."""

    def __init__(self) -> None:
        self.size: float | None = None  # peers; None: nobody was seen lately
        self.level = 0  # of the buckets to write to and to read first

    def guess(self, population: float) -> None:
        """A round opens; `population`: nodes of the DHT."""
        if self.size is None:
            self.level = level_of(population, self.level)

    def note(self, entries: Mapping[Place, int]) -> None:
        """A round is over, and its buckets held so many entries."""
        newest = counted(entries)
        if not newest:
            self.size = None
            return
        self.size = newest if self.size is None else self.size + NEWEST * (newest - self.size)
        self.level = level_of(self.size, self.level)
