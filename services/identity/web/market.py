"""The prediction market's routes for stock RL Swarm nodes.

bet-token-balance --market:watch:<peer>--> coordinator --MarketState--> {result}
guess-answer, claim-reward --WAGERS--> coordinator --> chain --WAGERED--> {hash}, or 400 {error: the contract's word}
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from services.identity.parts import Parts, PartsOf
from services.identity.web.settling import StockError, settle
from services.identity.web.stock import Asked, from_no_page, known
from shared.market import STATE, WATCH, WATCH_TTL_S, MarketState, read
from shared.streams import WAGERED, WAGERS
from shared.wagers import Claim, Guess, Wager

BALANCE_S = 10.0  # longest wait for a look at the chain
POLL_S = 0.2
NO_MARKET = "PredictionMarketNotDeployed"

Number = Annotated[int, Field(ge=0, lt=2**64)]
Small = Annotated[int, Field(ge=0, lt=256)]


class AskedGuess(Asked):
    """`guess-answer`."""

    gameId: Number
    clueId: Small
    choiceIdx: Small
    bet: int = Field(ge=0, lt=2**128)


class AskedClaim(Asked):
    """`claim-reward`."""

    gameId: Number


router = APIRouter(prefix="/api", dependencies=[Depends(from_no_page)])


@router.post("/bet-token-balance")
async def balance(asked: Asked, parts: PartsOf) -> dict[str, int]:
    """The tokens that a peer can bet now."""
    store, until = parts.context.store, time.monotonic() + BALANCE_S
    known(parts, asked.orgId)
    await _market(parts)
    await store.put(WATCH + asked.peerId, "", ttl_s=WATCH_TTL_S)
    while time.monotonic() < until and await parts.context.sleep(POLL_S):
        state = await _market(parts)
        if asked.peerId in state.balances:
            return {"result": state.balances[asked.peerId]}
    raise StockError(504, "StillWaitingForTheChain")


@router.post("/guess-answer")
async def guess(asked: AskedGuess, parts: PartsOf) -> dict[str, str]:
    """A peer's bet."""
    return await _wager(
        parts,
        asked,
        Guess(peer_id=asked.peerId, game=asked.gameId, clue=asked.clueId, choice=asked.choiceIdx, tokens=asked.bet),
    )


@router.post("/claim-reward")
async def claim(asked: AskedClaim, parts: PartsOf) -> dict[str, str]:
    """What a peer won."""
    return await _wager(parts, asked, Claim(peer_id=asked.peerId, game=asked.gameId))


async def _market(parts: Parts) -> MarketState:
    if (state := await read(parts.context.store, STATE, MarketState)) is None:
        raise StockError(400, NO_MARKET)
    return state


async def _wager(parts: Parts, asked: Asked, wager: Wager) -> dict[str, str]:
    """Onto the chain, and wait for its end. Raises StockError."""
    known(parts, asked.orgId)
    await _market(parts)
    if parts.accounts.vault.state != "ready":
        raise StockError(503, "AccountLocked")
    return await settle(parts, WAGERS, wager, WAGERED)
