"""Where in the DHT announcements stand: a round's peers are dealt into buckets, as many as the swarm's size asks for.

    key = rlswarm/{swarm}/{round}/{stage}/{level}/{bucket}       2^level buckets, level 0: one for all

A peer's bucket is the first `level` bits of a hash, so two buckets of a level lie in one of the level below. The hash
names the round: nobody stands beside the same peers for long. It does not name the stage: those who were found in a
round's first stage are found together in the later ones. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

MAX_LEVEL = 16
FULL = 32  # entries of a bucket above which a level more is needed: 16 are then in each
THIN = 12  # below which a level less is: 24 are then in each; in between the level stays


@dataclass(frozen=True)
class Place:
    """A bucket of a round and stage."""

    round: int
    stage: int
    level: int = 0
    bucket: int = 0

    def key(self, swarm: str) -> str:
        """The DHT key; its subkeys are peer ids."""
        return f"rlswarm/{swarm}/{self.round}/{self.stage}/{self.level}/{self.bucket}"


def bucket_of(swarm: str, round_number: int, peer: str, level: int) -> int:
    """The bucket of that level in which a peer's announcements of a round stand."""
    digest = sha256(f"{swarm}/{round_number}/{peer}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - level)


def places_of(swarm: str, round_number: int, stage: int, peer: str, level: int) -> tuple[Place, ...]:
    """Where a peer that writes at `level` announces: there, and one below for who takes the swarm for smaller."""
    levels = (level, level - 1) if level else (0,)
    return tuple(Place(round_number, stage, at, bucket_of(swarm, round_number, peer, at)) for at in levels)


def level_of(size: float, last: int = 0) -> int:
    """The level for a swarm of `size` peers; the last one, as long as its buckets are neither full nor thin."""
    level = last
    while level < MAX_LEVEL and size > FULL * 2**level:
        level += 1
    while level > 0 and size < THIN * 2**level:
        level -= 1
    return level
