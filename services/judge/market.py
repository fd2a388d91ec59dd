"""The prediction market at the judge: what /current_clue/ tells, and the games that the founder's judge makes up.

no proposal in the store, our coordinator deals --pause--> compose --> Proposal --> coordinator --> chain
MarketState of the coordinator, Proposal ---> Clue      (founder)
upstream's /current_clue/ ------------------> Clue      (who joined: JUDGE_UPSTREAM_URL)
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from services.judge.bank import Bank
from services.judge.games import NoGame, compose
from services.judge.upstream import Upstream, UpstreamDown, UpstreamRefused
from shared.market import CLUE, CLUE_TTL_S, DEALING, PROPOSAL, STATE, Clue, Dealing, MarketState, Proposal, read, write
from shared.runtime import Context

log = logging.getLogger(__name__)

POLL_S = 0.5
PAUSE_S = 5.0  # between the end of a game and the next
PART = "market"  # of the judge's health


class Market:
    """What is shown now."""

    def __init__(self, bank: Bank, context: Context, upstream: Upstream | None, pause_s: float = PAUSE_S) -> None:
        self._bank, self._context, self._upstream, self._pause_s = bank, context, upstream, pause_s
        self._free_since: float | None = None  # monotonic: no game is on its way
        self.clue = Clue()

    async def run(self) -> None:
        """Work until told to stop."""
        while await self._context.sleep(POLL_S):
            state = await read(self._context.store, STATE, MarketState)
            if state is not None and state.deals:
                self.clue = await self._deal(state)
            elif self._upstream is not None:
                self.clue = await self._relayed(self._upstream)
            else:
                self.clue = Clue()
            await write(self._context.store, CLUE, self.clue, CLUE_TTL_S)

    async def _deal(self, state: MarketState) -> Clue:
        store = self._context.store
        proposal = await read(store, PROPOSAL, Proposal)
        if proposal is not None:
            self._free_since = None
            return clue_of(proposal, await read(store, DEALING, Dealing), state)
        now = time.monotonic()
        self._free_since = now if self._free_since is None else self._free_since
        if now >= self._free_since + self._pause_s:
            await self._propose()
        return Clue()

    async def _propose(self) -> None:
        try:
            proposal = await asyncio.to_thread(self._compose)
        except NoGame as error:
            self._context.health.degrade(PART, f"{error}; choose another DATA_MIX, or unset PRG_GAME")
            return
        self._context.health.heal(PART)
        await write(self._context.store, PROPOSAL, proposal)

    def _compose(self) -> Proposal:
        deck = self._bank.deck(2 * secrets.randbits(29))
        return compose(deck, secrets.SystemRandom(), time.time())

    async def _relayed(self, upstream: Upstream) -> Clue:
        try:
            return await upstream.clue()
        except (UpstreamDown, UpstreamRefused):
            return Clue()


def clue_of(proposal: Proposal, dealing: Dealing | None, state: MarketState) -> Clue:
    """What a game shows as it stands on the chain; pure."""
    table = state.game
    if table is None or table.state != "open" or not table.shown:
        return Clue()
    if dealing is None or (dealing.proposal, dealing.game) != (proposal.id, table.game):
        return Clue()  # another game's
    last = table.shown - 1
    return Clue(
        game_id=table.game,
        clue_id=last,
        rounds_remaining=table.clues - last,
        clue=proposal.clues[last],
        choices=proposal.choices,
    )
