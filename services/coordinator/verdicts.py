"""Decisions about submissions, pure: order, repetitions, and what a refusal of the contract means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.coordinator.calls import proved
from services.coordinator.chain import Owner
from shared.messages import Registration, Reward, Submission, Winners
from shared.queue import Delivery

ALREADY = frozenset({"RewardAlreadySubmitted", "WinnerAlreadyVoted", "PeerIdAlreadyRegistered"})
# What others may change: the part of health that suffers, why, and what to do about it.
NOT_YET = {
    "AccountNotListed": ("admission", "this account is not on the swarm's allow list", "ask the swarm's founder"),
    "ProofRequired": ("proof", "the swarm registers peers only with proof of their key", "see the log of p2p"),
}
NOT_BEGUN = frozenset({"InvalidRoundNumber", "InvalidStageNumber"})
ORDER = {"registration": 0, "reward": 1, "winners": 2}


@dataclass(frozen=True)
class Standing:
    """Where the swarm is."""

    reached: tuple[int, int] = (
        0,
        0,
    )  # latest round and stage ever seen on this chain; the chain may be about to catch up
    forgotten: tuple[int, int] | None = None  # latest round and stage of a chain of ours that was reset since


@dataclass(frozen=True)
class OnChain:
    """It has landed: an earlier transaction of ours put it there."""


@dataclass(frozen=True)
class Refused:
    """The chain will never take it."""

    reason: str


@dataclass(frozen=True)
class Later:
    """The chain may take it later."""

    reason: str
    counted: bool = False  # True: after a few attempts it goes to the dead letters


Verdict = OnChain | Refused | Later


def unique(
    deliveries: Iterable[Delivery[Submission]], contract: str = "", account: str = ""
) -> tuple[list[Delivery[Submission]], list[Delivery[Submission]]]:
    """The first delivery of each key, in the order to send them, and the repetitions, of which the first one wins.

    Of registrations, one with a proof that is for this contract and account wins over one without.
    """
    first: dict[str, Delivery[Submission]] = {}
    repeated = []
    for delivery in deliveries:
        key = delivery.message.key
        before = first.setdefault(key, delivery)
        if before is delivery:
            continue
        if proved(delivery.message, contract, account) and not proved(before.message, contract, account):
            first[key], delivery = delivery, before  # noqa: PLW2901
        repeated.append(delivery)
    return sorted(first.values(), key=lambda delivery: ORDER[delivery.message.kind]), repeated


def phases(deliveries: Sequence[Delivery[Submission]]) -> list[list[Delivery[Submission]]]:
    """Registrations, then what needs them to be on the chain."""
    registrations = [delivery for delivery in deliveries if isinstance(delivery.message, Registration)]
    others = [delivery for delivery in deliveries if not isinstance(delivery.message, Registration)]
    return [phase for phase in (registrations, others) if phase]


def verdict(error: str, submission: Submission, owner: Owner, standing: Standing) -> Verdict:
    """What it means that the contract refused a submission whose peer is owned by `owner`."""
    if error in ALREADY:
        return OnChain() if owner == "us" else Refused(error)
    if error == "InvalidVoterPeerId":
        # Owned by us: the registration landed in the meantime. By nobody: it is still on its way.
        return Refused(error) if owner == "stranger" else Later(f"{error}: its peer is not registered yet")
    if error in NOT_BEGUN:
        return _not_begun(error, submission, standing)
    if error in NOT_YET:
        return Later(f"{error}: {NOT_YET[error][1]}")
    return Refused(error) if error else Later("the transaction failed for no reason that can be repeated", counted=True)


def _not_begun(error: str, submission: Submission, standing: Standing) -> Verdict:
    """A round the chain has yet to come to, or one of a chain that is no more: later it would be another round."""
    at = place(submission)
    if standing.forgotten is not None and standing.reached < at <= standing.forgotten:
        return Refused(f"{error}: it belongs to a chain that was reset")
    return Later(f"{error}: the chain has not come to it")


def place(submission: Submission) -> tuple[int, int]:
    """Round and stage a submission belongs to."""
    match submission:
        case Reward(round=number, stage=stage):
            return number, stage
        case Winners(round=number):
            return number, 0
        case _:
            return 0, 0
