"""Households that play in the prediction market: real coordinators, and the judge's own dealer."""

from __future__ import annotations

import asyncio
import contextlib

from services.coordinator.settings import MarketSettings
from services.coordinator.web3_chain import Web3Chain
from services.judge.bank import Bank
from services.judge.games import CLUES
from services.judge.market import Market
from services.judge.settings import JudgeSettings
from shared.health import Health
from shared.market import (
    CLUE,
    DEALING,
    PROPOSAL,
    STATE,
    Clue,
    Dealing,
    MarketState,
    Played,
    Proposal,
    played,
    read,
    write,
)
from shared.messages import Registration
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROUNDS, SUBMISSIONS, WAGERED, WAGERS
from shared.wagers import Claim, Guess
from tests.coordinator_kit import ARTIFACTS, Household, eventually, settings_of, signer_of

CLUE_S = 600.0  # nothing happens by itself: tests say when the next clue is due


class Home(Household):
    """A household with an account, a coordinator that plays, and what tests ask of it."""

    def __init__(self, folder, node, contract=None, market=None):
        told = {"market": MarketSettings(enabled=True, contract=market, clue_s=CLUE_S), "swarm_contract": contract}
        super().__init__(settings_of(folder, max_s=600.0).model_copy(update=told))
        self.folder, self.node = folder, node

    def chain(self):
        return Web3Chain(self.node.url, signer_of(self.folder), ARTIFACTS, receipt_timeout_s=5)

    @contextlib.asynccontextmanager
    async def up(self, *peers, killed=False):
        """A coordinator; `killed`: it is cut off in the end, wherever it is."""
        async with (self.killed if killed else self.running)(self.chain()):
            await eventually(lambda: self.queue.last(ROUNDS), 15)
            await self.host(*peers)
            for peer in peers:
                await self.queue.publish(SUBMISSIONS, Registration(peer_id=peer))
            await eventually(self.state, 15)
            yield self

    async def state(self) -> MarketState | None:
        return await read(self.store, STATE, MarketState)

    async def shown(self, game: int, clue: int) -> Clue:
        async def there():
            found = await read(self.store, CLUE, Clue)
            return found if found and (found.game_id, found.clue_id) == (game, clue) else None

        return await eventually(there, 20)

    async def go_on(self) -> None:
        """The time of the clue is over."""
        dealing = await read(self.store, DEALING, Dealing)
        await write(self.store, DEALING, dealing.model_copy(update={"shown_at": 0.0}))

    async def finish(self, game: int) -> Played:
        """Show the clues that are left, and then the answer."""
        for clue in range((await read(self.store, CLUE, Clue)).clue_id + 1, CLUES):
            await self.go_on()
            await self.shown(game, clue)
        await self.go_on()
        return await self.answered(game)

    async def bet(self, peer: str, game: int, clue: int, choice: int, tokens: int) -> str:
        """Bet, and wait for what comes of it: "" or the contract's word."""
        return await self.wager(Guess(peer_id=peer, game=game, clue=clue, choice=choice, tokens=tokens))

    async def wager(self, wager: Guess | Claim) -> str:
        last = await self.queue.last(WAGERED)
        await self.queue.publish(WAGERS, wager)

        async def end():
            return await self.queue.read(WAGERED, last.id if last else "0")

        return (await eventually(end, 10))[0].message.reason

    async def paid(self, game: int, *peers: str) -> dict[str, int]:
        """What each of these was paid, once all were."""

        async def there():
            found = {one.table.game: one.paid for one in await played(self.store)}.get(game, {})
            return found if set(found) >= set(peers) else None

        return await eventually(there, 20)

    async def answered(self, game: int) -> Played:
        async def there():
            found = [one for one in await played(self.store) if one.table.game == game]
            return found[0] if found and found[0].table.state in ("answered", "refunded") else None

        return await eventually(there, 20)


@contextlib.asynccontextmanager
async def dealing(home):
    """The founder's judge."""
    context = Context(home.queue, home.store, Health("judge", "one", 60))
    bank = Bank(load("judge", JudgeSettings, ["data=easy"]).data)
    task = asyncio.create_task(Market(bank, context, None, pause_s=0.1).run())
    yield
    context.stop.set()
    await task


async def right(home: Home) -> int:
    """The answer of the game that is on, which is a secret."""
    return (await read(home.store, PROPOSAL, Proposal)).answer
