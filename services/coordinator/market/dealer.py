"""Deals the games of the household that founded the swarm: what the judge proposes goes to the chain, move by move.

Where a game stands is read from the chain each time, by the proposal's commitment: so a coordinator that died in the
middle goes on, and a move that landed is not made twice. A proposal that is lost with the store leaves its game to
its time: then every bet goes back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from services.coordinator import metrics
from services.coordinator.calls import Call
from services.coordinator.chain import ChainError, Reverted
from services.coordinator.market.contract import MarketContract
from services.coordinator.market.moves import Close, Create, Done, Move, Show, commitment_of, next_move
from shared.market import DEALING, PROPOSAL, Dealing, Proposal, Table, read, write
from shared.queue import Store

log = logging.getLogger(__name__)


class Dealer:
    """One household's dealer. `step` raises ChainError."""

    def __init__(
        self, market: MarketContract, store: Store, clue_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._market, self._store, self._clue_s, self._now = market, store, clue_s, now

    async def step(self, tables: Sequence[Table]) -> None:
        """The next move, if one is due. `tables`: the latest games on the chain."""
        proposal = await read(self._store, PROPOSAL, Proposal)
        if proposal is None:
            return
        commitment = commitment_of(proposal)
        table = next((one for one in reversed(tables) if one.commitment == commitment), None)
        dealing = await read(self._store, DEALING, Dealing)
        known = dealing if dealing is not None and dealing.proposal == proposal.id else None
        move = next_move(proposal, table, known.shown_at if known else 0.0, self._clue_s, self._now())
        if isinstance(move, Done):
            await self._store.take(PROPOSAL)
        elif move is not None:
            await self._make(move, proposal, commitment, table)

    async def _make(self, move: Move, proposal: Proposal, commitment: str, table: Table | None) -> None:
        if isinstance(move, Show) and table is not None:
            # First: who is restarted right behind it shows no clue for a moment only.
            dealing = Dealing(proposal=proposal.id, game=table.game, shown_at=self._now())
            await write(self._store, DEALING, dealing)
        (result,) = await self._market.send([_call(move, proposal, commitment, table)])
        if isinstance(result, Reverted):
            raise ChainError(f"the market refuses a move of its game ({result.error})", "it is looked at again")
        metrics.MOVES.labels(type(move).__name__.lower()).inc()
        log.info("the market's game: %s", move)


def _call(move: Move, proposal: Proposal, commitment: str, table: Table | None) -> Call:
    game = table.game if table else 0
    match move:
        case Create(reveal_by):
            counts = (len(proposal.choices), len(proposal.clues))
            return Call(
                "createGame(uint256,uint256,uint64,bytes32)", (*counts, reveal_by, bytes.fromhex(commitment[2:]))
            )
        case Show(clue):
            return Call("revealClue(uint256,uint256)", (game, clue))
        case Close():
            return Call("closeBets(uint256)", (game,))
        case _:
            return Call(
                "revealAnswer(uint256,uint256,bytes32)", (game, proposal.answer, bytes.fromhex(proposal.salt[2:]))
            )
