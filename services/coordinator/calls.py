"""Submissions as calls of the contract, and how to see that they have landed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.messages import Registration, Reward, Submission

REGISTER = "registerPeer(string)"
REGISTER_PROVED = "registerPeerWithProof(string,bytes,bytes)"
# The signed overload by its full name: a positive number alone would silently pick the unsigned one.
REWARD = "submitReward(uint256,uint256,int256,string)"
WINNERS = "submitWinners(uint256,string[],string)"
ADVANCE = "updateStageAndRound()"
ADVANCE_IF_DUE = "advanceRoundIfDue()"
DUE = "dueAt()"
RULES = "rules()"
SET_RULES = "setRules((bool,bool,bool,uint32,uint32,uint128))"
PROOF_REQUIRED, LISTED_ONLY, STAGE_SECONDS = 1, 2, 4  # their places among the rules
STAGES = "setStageCount(uint256)"
EOA = "getEoa(string[])"
HAS_REWARD = "hasSubmittedRoundStageReward(uint256,uint256,string)"
VOTES = "getVoterVotes(uint256,string)"


@dataclass(frozen=True)
class Call:
    """A function by its full signature, and its arguments."""

    signature: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Trace:
    """The event a submission leaves: its name, the numbers among its indexed fields, and its peer."""

    event: str
    numbers: tuple[int, ...]
    peer: str


def call_of(submission: Submission) -> Call:
    """The call that puts a submission on the chain."""
    if isinstance(submission, Registration):
        return Call(REGISTER, (submission.peer_id,))
    if isinstance(submission, Reward):
        return Call(REWARD, (submission.round, submission.stage, submission.points, submission.peer_id))
    return Call(WINNERS, (submission.round, list(submission.winners), submission.peer_id))


def proved(submission: Submission, contract: str, account: str) -> Call | None:
    """The call that registers a peer with the proof it brought; None: it brought none that is for this contract."""
    if not isinstance(submission, Registration) or submission.proof is None:
        return None
    proof = submission.proof
    if not proof.is_for(contract, account):
        return None
    arguments = (submission.peer_id, bytes.fromhex(proof.public_key), bytes.fromhex(proof.signature))
    return Call(REGISTER_PROVED, arguments)


def question_of(submission: Submission) -> Call:
    """The call whose answer is true (or not empty) once a submission by the peer's owner has landed."""
    if isinstance(submission, Registration):
        return Call(EOA, ([submission.peer_id],))
    if isinstance(submission, Reward):
        return Call(HAS_REWARD, (submission.round, submission.stage, submission.peer_id))
    return Call(VOTES, (submission.round, submission.peer_id))


def to_be_added(there: int, wanted: Sequence[str]) -> list[str]:
    """Bootnodes in the order in which to add them to `there` old ones, to have them as `wanted` when these are gone.

    The old ones are removed from the last to the first; the contract puts the last of the list in the place of each.
    """
    places = list(range(-there, len(wanted)))  # below 0: an old one
    for index in reversed(range(there)):
        last = places.pop()
        if index < len(places):
            places[index] = last
    added = dict(zip(places, wanted, strict=True))
    return [added[place] for place in range(len(wanted))]


def trace_of(submission: Submission) -> Trace:
    """The event by which a landed submission is found."""
    if isinstance(submission, Registration):
        return Trace("PeerRegistered", (), submission.peer_id)
    if isinstance(submission, Reward):
        return Trace("RewardSubmitted", (submission.round, submission.stage), submission.peer_id)
    return Trace("WinnerSubmitted", (submission.round,), submission.peer_id)
