"""Why a round was rewarded as it was: from the completions' rewards to the points on the chain.

reward of each completion --mean--> x 1000, rounded --> points --> transaction, block
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from pydantic import BaseModel, Field

from services.identity.history import Noted
from services.identity.live import Peer, View
from services.identity.shown.rollouts import is_first_hand, rollouts
from services.identity.shown.texts import label
from shared.messages import Trained
from shared.names import name_of

OTHERS = 100  # peers of other households in one answer
SAMPLES = 6  # of an own peer


class OnChain(BaseModel):
    """Where a submission stands on the chain."""

    transaction: str
    block: int
    link: str | None = Field(description="the same at the block explorer, if one is set")


class GroupReward(BaseModel):
    """One question's completions."""

    dataset: str
    rewards: list[float] = Field(description="of each completion")
    mean: float
    informative: bool = Field(description="some completion did better than another: one can learn from it")


class Vote(BaseModel):
    """Whom a peer voted for."""

    peer_id: str
    name: str


class Explained(BaseModel):
    """What is known of one peer's round."""

    peer_id: str
    name: str
    own: bool = Field(description="it trains in this household")
    trained: bool = Field(description="it was seen to go through this round, and its numbers are kept")
    kept: bool = Field(description="the reward of each completion is kept, too")
    groups: list[GroupReward] = []
    completions: int = 0
    mean: float | None = Field(None, description="over all completions of the round")
    points: int | None = Field(None, description="the mean in thousandths, rounded")
    local_groups: int | None = Field(None, description="own question groups in the batch that it learned from")
    external_groups: int | None = Field(None, description="those of peers")
    loss: float | None = None
    points_on_chain: int | None = None
    reward_on_chain: OnChain | None = None
    vote: list[Vote] = []
    vote_on_chain: OnChain | None = None
    samples: list[dict[str, Any]] = Field([], description="some of its rollouts, if they are still kept")


class Explanation(BaseModel):
    """A round, explained."""

    round: int
    known: bool = Field(description="anything of it is known here")
    peers: list[Explained]
    others: int = Field(description="peers of other households on the chain, also those that are not listed")
    before: int | None = Field(description="the nearest earlier round that is known")
    after: int | None


def explain(
    view: View, own: Mapping[str, Peer], number: int, *, only: str | None = None, explorer: str | None = None
) -> Explanation:
    """All that is known of a round: own peers first, then the others by their reward; or one peer only."""
    notes = list(view.history.rounds.get(number, {}).values())
    rewards = {noted.peer: noted for noted in notes if noted.points is not None}
    votes = {noted.peer: noted for noted in notes if noted.points is None}
    here = [id_ for id_, peer in own.items() if number in peer.steps or id_ in rewards or id_ in votes]
    there = sorted({*rewards, *votes} - set(own), key=lambda id_: (-_points(rewards.get(id_)), id_))
    wanted = [id_ for id_ in (*here, *there[:OTHERS]) if only in (None, id_)]
    if only in there and only not in wanted:
        wanted = [only]
    peers = [_explained(view, own.get(id_), id_, number, rewards.get(id_), votes.get(id_), explorer) for id_ in wanted]
    before, after = _neighbours(view, own, number)
    return Explanation(
        round=number, known=bool(here or there), peers=peers, others=len(there), before=before, after=after
    )


def _points(noted: Noted | None) -> int:
    return noted.points if noted is not None and noted.points is not None else -(2**63)


def _neighbours(view: View, own: Mapping[str, Peer], number: int) -> tuple[int | None, int | None]:
    known = {*view.history.rounds, *(n for peer in own.values() for n in peer.steps)}
    return max((n for n in known if n < number), default=None), min((n for n in known if n > number), default=None)


def _explained(
    view: View,
    peer: Peer | None,
    id_: str,
    number: int,
    reward: Noted | None,
    vote: Noted | None,
    explorer: str | None,
) -> Explained:
    told = peer.details.get(number) if peer else None
    here = {id_} if peer else ()
    of_round = [sample for sample in view.samples.values() if sample.round == number]
    kept = [sample for sample in of_round if sample.author == id_ and sample.signed]
    return Explained(
        peer_id=id_,
        name=name_of(id_),
        own=peer is not None,
        **_trained(peer, number),
        **_rewards(told),
        points_on_chain=reward.points if reward else None,
        reward_on_chain=_on_chain(reward, explorer),
        vote=[Vote(peer_id=winner, name=name_of(winner)) for winner in vote.winners] if vote else [],
        vote_on_chain=_on_chain(vote, explorer),
        samples=rollouts((sample for sample in reversed(kept) if is_first_hand(sample, here)), SAMPLES),
    )


def _trained(peer: Peer | None, number: int) -> dict[str, Any]:
    """The round's numbers, which are kept for longer than its details."""
    step = peer.steps.get(number) if peer else None
    if step is None:
        return {"trained": False}
    return {
        "trained": True,
        "mean": round(step.reward, 6),
        "points": round(1000 * step.reward),
        "local_groups": step.local,
        "external_groups": step.external,
        "loss": round(step.loss, 6),
    }


def _rewards(told: Trained | None) -> dict[str, Any]:
    if told is None or not told.rewards:
        return {"kept": False}
    datasets = [*told.datasets, *[""] * len(told.rewards)]
    groups = [_group(name, rewards) for name, rewards in zip(datasets, told.rewards, strict=False) if rewards]
    return {"kept": True, "groups": groups, "completions": sum(len(group.rewards) for group in groups)}


def _group(dataset: str, rewards: Sequence[float]) -> GroupReward:
    return GroupReward(
        dataset=label(dataset) or "unnamed",
        rewards=[round(reward, 4) for reward in rewards],
        mean=round(fmean(rewards), 4),
        informative=max(rewards) > min(rewards),
    )


def _on_chain(noted: Noted | None, explorer: str | None) -> OnChain | None:
    if noted is None:
        return None
    link = explorer.replace("{hash}", noted.transaction) if explorer else None
    return OnChain(transaction=noted.transaction, block=noted.block, link=link)
