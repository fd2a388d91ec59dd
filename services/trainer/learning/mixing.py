"""Which groups a batch is made of, and whom a peer votes for. Pure: randomness comes in as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import fmean

from services.trainer.learning.rollout import Scored


def mix(local: Sequence[Scored], external: Sequence[Scored], i: int, j: int, random: Random) -> list[Scored]:
    """I informative local groups and J informative external ones, each drawn uniformly (SAPO, section 3); see `fill`.

    Empty when nobody's completions differ in reward.
    """
    ours = shuffled([group for group in local if group.informative], random)
    theirs = shuffled([group for group in external if group.informative], random)
    return fill(ours, theirs, i, j)


def fill(ours: Sequence[Scored], theirs: Sequence[Scored], i: int, j: int) -> list[Scored]:
    """The first I of ours and the first J of theirs, ours first.

    Where one side has too few, the other fills up: a lone node still trains on I + J groups if it sampled as many.
    With J = 0 nothing is ever taken from others.
    """
    missing_ours, missing_theirs = max(0, i - len(ours)), max(0, j - len(theirs))
    return [*ours[: i + missing_theirs], *theirs[: j + missing_ours if j else 0]]


def within(external: Sequence[Scored], most: int, random: Random) -> list[Scored]:
    """Peers' groups with at most so many unsigned ones, drawn from those of them that are informative."""
    unsigned = [group for group in external if not group.signed and group.informative]
    return [*(group for group in external if group.signed), *shuffled(unsigned, random)[:most]]


def shuffled(groups: Sequence[Scored], random: Random) -> list[Scored]:
    """The same groups in a random order."""
    return random.sample(groups, len(groups))


def winners(groups: Sequence[Scored]) -> tuple[str, ...]:
    """The peer with the highest mean reward over the groups seen, one's own included; on a tie, the lowest peer id.

    What is not signed wins nothing: anybody could win or lose in another's name.
    """
    by_author: dict[str, list[float]] = {}
    for group in groups:
        if not group.signed:
            continue
        by_author.setdefault(group.author, []).append(group.mean_reward)
    if not by_author:
        return ()
    return (min(by_author, key=lambda peer: (-fmean(by_author[peer]), peer)),)


def points(mean_reward: float) -> int:
    """The mean reward in thousandths, as it goes on the chain."""
    return round(1000 * mean_reward)
