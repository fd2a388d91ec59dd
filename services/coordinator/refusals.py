"""The contract's checks, in its order, for a chain that has no contract to ask. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from services.coordinator.chain import Owner
from shared.messages import Registration, Reward, Submission, Winners


@dataclass(frozen=True)
class Standing:
    """What the contract knows when a submission comes."""

    round: int
    stage: int
    stages: int
    owner: Owner  # of the submission's peer
    there: bool  # the submission was made before, by whom does not matter


def refusal(submission: Submission, now: Standing) -> str:
    """The name of the error the contract would revert with; "": it would take the submission."""
    if isinstance(submission, Registration):
        return "" if now.owner == "nobody" else "PeerIdAlreadyRegistered"
    if submission.round > now.round:
        return "InvalidRoundNumber"
    last = now.stage if submission.round == now.round else now.stages
    if isinstance(submission, Reward) and submission.stage > last:
        return "InvalidStageNumber"
    if now.there:
        return "RewardAlreadySubmitted" if isinstance(submission, Reward) else "WinnerAlreadyVoted"
    if now.owner != "us":
        return "InvalidVoterPeerId"
    distinct = not isinstance(submission, Winners) or len(set(submission.winners)) == len(submission.winners)
    return "" if distinct else "InvalidVote"


def following(round_number: int, stage: int, stages: int) -> tuple[int, int]:
    """The round and stage behind these."""
    return (round_number, stage + 1) if stage + 1 < stages else (round_number + 1, 0)
