"""The result of a run in one file, `summary.json`; each reward can be looked up on the chain by its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from services.local.history import History
from shared.household import SwarmState
from shared.names import name_of

WINDOW = 10  # rounds at the start and at the end that are compared


class RewardOnChain(BaseModel):
    """One reward that landed."""

    model_config = ConfigDict(frozen=True)

    peer: str
    name: str  # for people
    round: int
    points: int  # thousandths of a reward
    transaction: str | None  # None: it was on the chain already when the coordinator looked
    block: int | None


class Summary(BaseModel):
    """What a finished run came to. Rewards are means per completion, as the chain has them: points / 1000."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rounds: int  # rounds that a peer of this household trained
    seconds: float  # from the run's first start to its end
    peers: int  # of this household
    reward_first10: float | None  # mean over peers and the first ten rounds; None: no reward reached the chain
    reward_last10: float | None
    external_groups_trained: int  # question groups of the batches that came from peers
    rewards_on_chain: int
    winners_on_chain: int
    records_rejected: int  # records of peers that failed validation
    restarts: int  # processes that died and were started again
    contract: str | None
    chain_url: str  # without path and credentials
    chain_id: int | None
    rewards: list[RewardOnChain]


def summarize(history: History, *, seconds: float, restarts: int, chain: SwarmState | None, chain_url: str) -> Summary:
    """Count up a run."""
    by_round = list(reward_by_round(history).values())
    rewards = [
        RewardOnChain(
            peer=reward.peer_id,
            name=name_of(reward.peer_id),
            round=reward.round,
            points=reward.points,
            transaction=settled.transaction,
            block=settled.block,
        )
        for reward, settled in history.rewards()
    ]
    return Summary(
        rounds=len({trained.round for trained in history.trained.values()}),
        seconds=round(seconds, 1),
        peers=len(history.peers()),
        reward_first10=_mean(by_round[:WINDOW]),
        reward_last10=_mean(by_round[-WINDOW:]),
        external_groups_trained=sum(trained.external_groups for trained in history.trained.values()),
        rewards_on_chain=len(rewards),
        winners_on_chain=history.winners(),
        records_rejected=sum(sum(exchanged.rejected.values()) for exchanged in history.exchanged.values()),
        restarts=restarts,
        contract=chain.contract if chain else None,
        chain_url=without_secrets(chain_url),
        chain_id=chain.chain_id if chain else None,
        rewards=rewards,
    )


def reward_by_round(history: History) -> Mapping[int, float]:
    """Round -> mean over peers of the rewards on the chain, in order."""
    found: dict[int, list[float]] = {}
    for reward, _ in history.rewards():
        found.setdefault(reward.round, []).append(reward.points / 1000)
    return {number: fmean(values) for number, values in sorted(found.items())}


def without_secrets(url: str) -> str:
    """Scheme, host and port: a provider's key stands in the path, a password before the host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _mean(values: list[float]) -> float | None:
    return round(fmean(values), 6) if values else None
