"""Ways to choose a batch from what was sampled here and what peers sent. Pure: randomness comes in as an argument.

    offer: local, external, I, J --+
    memory of the rounds before ---+--> pick --> batch, memory for the rounds to come

uniform      I local and J external groups, each drawn uniformly             (SAPO, arXiv 2509.08721, section 3)
informative  those whose rewards are spread widest
adaptive     uniform, with I and J as the share of informative groups on each side lately
replay       uniform; places left empty go to rare informative groups of the last rounds

All of them leave out groups whose rewards are all equal, and let one side fill up for the other (`mixing.fill`).
Unsigned groups are offered within their share (`mixing.within`), and never kept for replay.
docs/sapo.md tells what each is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, pstdev

from pydantic import BaseModel, ConfigDict, Field

from services.trainer.learning.mixing import fill, mix, shuffled
from services.trainer.learning.rollout import Scored
from services.trainer.settings import PickName

RECENT = 0.2  # weight of the newest round in a running share: about five rounds count
LEAST = 4  # neither side's part of the batch falls below one in so many
KEPT_GROUPS = 16  # groups kept for replay, and
KEPT_STEPS = 8  # steps after which one is too old: the policy that sampled it is no longer this one


class Kept(BaseModel):
    """An informative group of an earlier step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    group: Scored


class Memory(BaseModel):
    """What a pick knows of the rounds before; part of the checkpoint, and bounded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    local_share: float = 0.5  # of the groups sampled here, how many were informative lately, 0 to 1
    external_share: float = 0.5  # of those of peers
    kept: tuple[Kept, ...] = Field(default=(), max_length=KEPT_GROUPS)  # rarest first


@dataclass(frozen=True)
class Offer:
    """What a batch may be made of."""

    local: Sequence[Scored]
    external: Sequence[Scored]
    i: int  # groups of the batch to be local
    j: int  # groups of the batch to be external
    step: int  # updates tried before this one


@dataclass(frozen=True)
class Picked:
    """A batch, empty when nobody's completions differ in reward, and what is to be remembered."""

    batch: list[Scored]
    memory: Memory


Pick = Callable[[Offer, Memory, Random], Picked]


def uniform(offer: Offer, memory: Memory, random: Random) -> Picked:
    """I and J groups, drawn uniformly."""
    return Picked(mix(offer.local, offer.external, offer.i, offer.j, random), memory)


def informative(offer: Offer, memory: Memory, random: Random) -> Picked:
    """The I and J groups of the widest spread of advantages; a draw decides between equals."""
    ours, theirs = (_widest(groups, random) for groups in (offer.local, offer.external))
    return Picked(fill(ours, theirs, offer.i, offer.j), memory)


def adaptive(offer: Offer, memory: Memory, random: Random) -> Picked:
    """Uniform, with I and J following how much of each side was informative lately, at least a quarter for each."""
    now = memory.model_copy(
        update={
            "local_share": _running(memory.local_share, offer.local),
            "external_share": _running(memory.external_share, offer.external),
        }
    )
    i, j = _parts(offer.i, offer.j, now)
    return Picked(mix(offer.local, offer.external, i, j, random), now)


def replay(offer: Offer, memory: Memory, random: Random) -> Picked:
    """Uniform; what is then missing to I + J is drawn from the kept groups, which this round's best then join."""
    fresh = mix(offer.local, offer.external, offer.i, offer.j, random)
    recent = [kept for kept in memory.kept if offer.step - kept.step <= KEPT_STEPS]
    missing = max(0, offer.i + offer.j - len(fresh))
    again = shuffled([kept.group for kept in recent], random)[:missing]
    seen = [*offer.local, *(offer.external if offer.j else ())]
    fit = [*recent, *(Kept(step=offer.step, group=group) for group in seen if group.informative and group.signed)]
    kept = sorted(fit, key=lambda kept: (-_rarity(kept.group), -kept.step))[:KEPT_GROUPS]
    return Picked([*fresh, *again], memory.model_copy(update={"kept": tuple(kept)}))


PICKS: Mapping[PickName, Pick] = {
    "uniform": uniform,
    "informative": informative,
    "adaptive": adaptive,
    "replay": replay,
}


def _widest(groups: Sequence[Scored], random: Random) -> list[Scored]:
    found = shuffled([group for group in groups if group.informative], random)
    return sorted(found, key=lambda group: -pstdev(group.rewards))


def _running(share: float, groups: Sequence[Scored]) -> float:
    """The running share after one more round; a round without groups changes nothing."""
    if not groups:
        return share
    return share + RECENT * (fmean(group.informative for group in groups) - share)


def _parts(i: int, j: int, memory: Memory) -> tuple[int, int]:
    """I and J of the same sum, in proportion to the shares; as they are where nothing is shared or nothing known."""
    shares = memory.local_share + memory.external_share
    if not i or not j or shares == 0:
        return i, j
    least = (i + j) // LEAST
    ours = min(max(round((i + j) * memory.local_share / shares), least), i + j - least)
    return ours, i + j - ours


def _rarity(group: Scored) -> float:
    """The advantage of the group's best completion: near 1 for one success among failures."""
    return max(group.rewards) - group.mean_reward
