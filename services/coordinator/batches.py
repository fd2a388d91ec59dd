"""Many rewards in one transaction, pure: how they are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.coordinator.calls import Call, call_of
from shared.messages import Reward, Submission

REWARDS = "submitRewards((uint256,uint256,int256,string)[])"
NONE = Call(REWARDS, ((),))  # a batch of none: who has the function takes it
# A peer's first reward takes 91k gas of a batch, and half more is offered: 50 are 7 million, and some of that fit into
# a block of 30 million.
MOST = 50


@dataclass(frozen=True)
class Parcel:
    """Submissions that one transaction puts on the chain, by their places among those to be sent."""

    places: tuple[int, ...]
    call: Call


def rewards_among(submissions: Sequence[Submission]) -> list[int]:
    """The places of rewards."""
    return [place for place, one in enumerate(submissions) if isinstance(one, Reward)]


def batch_of(submissions: Sequence[Submission], places: Sequence[int]) -> Call:
    """The call that claims the rewards at these places."""
    chosen = [submissions[place] for place in places]
    claims = [(one.round, one.stage, one.points, one.peer_id) for one in chosen if isinstance(one, Reward)]
    return Call(REWARDS, (claims,))


def portions(places: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """Places in portions of at most so many, each as large as the others or one larger."""
    count = -(-len(places) // most)
    return [tuple(places[k * len(places) // count : (k + 1) * len(places) // count]) for k in range(count)]


def parcels(submissions: Sequence[Submission], places: Sequence[int], most: int) -> list[Parcel]:
    """Those at these places: rewards first, up to `most` in one; what is alone has a call of its own."""
    rewards = [place for place in places if isinstance(submissions[place], Reward)]
    others = [(place,) for place in places if not isinstance(submissions[place], Reward)]
    return [Parcel(group, _call(submissions, group)) for group in [*portions(rewards, most), *others]]


def _call(submissions: Sequence[Submission], places: Sequence[int]) -> Call:
    return call_of(submissions[places[0]]) if len(places) == 1 else batch_of(submissions, places)
