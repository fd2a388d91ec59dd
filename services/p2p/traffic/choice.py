"""Whose rollouts to fetch next, and when there are enough. Pure: randomness comes in as an argument.

What a peer claims of its groups only makes it more likely to be heard: a claim counts up to a bound, is weighed by the
peer's reputation, and some places are drawn without a look at claims, so that who claims most is not heard alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random

LEAST_PEERS = 8  # heard where there are so many, however few groups are needed: people and votes want to see some
SPARES = 2.0  # times as many groups as are needed are fetched: some will be flat, or never arrive
EXPLORED = 0.25  # of the draws are uniform
UNCLAIMED = 0.5  # groups that a peer counts for in a draw beside those that it claims


@dataclass(frozen=True)
class Need:
    """What a household's trainers want from others in a round."""

    groups: float  # informative ones, spares included; infinite: all there are

    @classmethod
    def of(cls, groups: int, trainers: int, *, stages: int = 1) -> Need:
        """For so many trainers that each want so many groups.

        In a round of several stages all of a bucket is wanted: what peers write then is about what they heard, and
        whoever did not hear the same cannot use it.
        """
        return cls(SPARES * groups * max(1, trainers) if stages == 1 else inf)

    @property
    def whole(self) -> bool:
        """All that is in the buckets is wanted, and no other bucket."""
        return self.groups == inf

    def counted(self, claimed: int) -> float:
        """How many groups one peer counts for: not more than it takes `LEAST_PEERS` of to meet the need."""
        return min(float(claimed), self.groups / LEAST_PEERS)


@dataclass(frozen=True)
class Offer:
    """A peer whose rollouts could be fetched."""

    peer: str
    informative: int  # groups, as it claims
    weight: float = 1.0  # what its claims are worth, 0 to 1
    known: bool = False  # it was heard in an earlier stage of this round, and later ones build on that


def is_enough(need: Need, taken: Sequence[int]) -> bool:
    """Whether those who claimed so many groups each, and are here or on their way, are enough."""
    return len(taken) >= LEAST_PEERS and sum(map(need.counted, taken)) >= need.groups


def choose(offers: Iterable[Offer], need: Need, taken: Sequence[int], room: int, random: Random) -> list[Offer]:
    """Whom to fetch from now, at most `room` peers: those known already, and as many more as it takes."""
    offered = list(offers)
    chosen = [offer for offer in offered if offer.known][:room]
    left = [offer for offer in offered if not offer.known]
    claims = [*taken, *(offer.informative for offer in chosen)]
    while left and len(chosen) < room and not is_enough(need, claims):
        offer = _draw(left, need, random)
        left.remove(offer)
        chosen.append(offer)
        claims.append(offer.informative)
    return chosen


def _draw(offers: Sequence[Offer], need: Need, random: Random) -> Offer:
    if random.random() < EXPLORED:
        return random.choice(offers)
    weights = [(UNCLAIMED + need.counted(offer.informative)) * offer.weight for offer in offers]
    return random.choices(offers, weights)[0] if any(weights) else random.choice(offers)
