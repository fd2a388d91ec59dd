"""The REST routes that stock RL Swarm nodes call on `http://localhost:3000/api/`.

    register-peer, submit-reward, submit-winner --SUBMISSIONS--> coordinator --> chain
         ^                                                           |
         +---- {hash}, or 400 {error: the contract's word} <--LEDGER-+

What a node submits goes the way of this household's own submissions: signed with the same account, it lands once, and
waits in the outbox while the chain is away. `orgId` is what the account page shows; without it nothing is answered.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from services.identity.parts import Parts, PartsOf
from services.identity.web.settling import StockError, send, settle
from shared.household import swarm_state
from shared.messages import MAX_WINNERS, PeerId, Registration, Reward, Submission, Winners
from shared.streams import LEDGER, SUBMISSIONS

ALREADY = {
    "registration": "PeerIdAlreadyRegistered",
    "reward": "RewardAlreadySubmitted",
    "winners": "WinnerAlreadyVoted",
}


class Asked(BaseModel):
    """What every request names. Unknown fields are left alone: nodes of several versions call."""

    model_config = ConfigDict(frozen=True)

    orgId: str = Field(max_length=128)
    peerId: PeerId


class AskedReward(Asked):
    """`submit-reward`."""

    roundNumber: int = Field(ge=0, lt=2**63)
    stageNumber: int = Field(ge=0, lt=2**31)
    reward: int = Field(ge=-(2**63), lt=2**63)


class AskedWinners(Asked):
    """`submit-winner`."""

    roundNumber: int = Field(ge=0, lt=2**63)
    winners: tuple[PeerId, ...] = Field(min_length=1, max_length=MAX_WINNERS)


def from_no_page(request: Request) -> None:
    """A page of somebody else, open in the owner's browser, shall not speak for the owner's node."""
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
        raise StockError(403, "NotForBrowsers")


router = APIRouter(prefix="/api", dependencies=[Depends(from_no_page)])


@router.get("/get-api-key-status")
async def key_status(parts: PartsOf, orgId: Annotated[str, Field(max_length=128)] = "") -> PlainTextResponse:
    """`activated` once the account can sign, `pending` until then."""
    known(parts, orgId)
    return PlainTextResponse("activated" if parts.accounts.vault.state == "ready" else "pending")


@router.post("/register-peer")
async def register_peer(asked: Asked, parts: PartsOf) -> dict[str, str]:
    """This account owns the peer."""
    return await _submit(parts, asked, Registration(peer_id=asked.peerId))


@router.post("/submit-reward")
async def submit_reward(asked: AskedReward, parts: PartsOf) -> dict[str, str]:
    """A peer's reward of a round and stage."""
    reward = Reward(peer_id=asked.peerId, round=asked.roundNumber, stage=asked.stageNumber, points=asked.reward)
    return await _submit(parts, asked, reward)


@router.post("/submit-winner")
async def submit_winner(asked: AskedWinners, parts: PartsOf) -> dict[str, str]:
    """A peer's vote in a round."""
    vote = Winners(peer_id=asked.peerId, round=asked.roundNumber, winners=asked.winners)
    return await _submit(parts, asked, vote)


async def _submit(parts: Parts, asked: Asked, submission: Submission) -> dict[str, str]:
    """Into the outbox, and wait for its end. Raises StockError."""
    known(parts, asked.orgId)
    if already := _landed(parts, submission):
        raise StockError(400, already)
    await _check_round(parts, submission)
    if parts.accounts.vault.state != "ready":
        await send(parts, SUBMISSIONS, submission)
        raise StockError(503, "AccountLocked")
    return await settle(parts, SUBMISSIONS, submission, LEDGER, lambda: _landed(parts, submission))


def _landed(parts: Parts, submission: Submission) -> str:
    """The contract's word for what is on the chain already; "": it is not."""
    return ALREADY[submission.kind] if parts.view.ledger.seen.get(submission.key) == "landed" else ""


async def _check_round(parts: Parts, submission: Submission) -> None:
    """A round to come would wait in the outbox; the contract refuses it, and so does this. Raises StockError."""
    state = await swarm_state(parts.context.store)
    number = 0 if isinstance(submission, Registration) else submission.round
    if state is not None and number > state.round:
        raise StockError(400, "InvalidRoundNumber")


def known(parts: Parts, org_id: str) -> None:
    """Raises StockError if this is not the household's."""
    if not hmac.compare_digest(org_id.encode(), parts.accounts.org_id.encode()):
        raise StockError(404, "UnknownOrganization")


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """The answer for a StockError."""
    assert isinstance(error, StockError)
    body: dict[str, Any] = {"error": error.error}
    return JSONResponse(body, error.status)
