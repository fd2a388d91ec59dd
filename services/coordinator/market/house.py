"""The market's loop: where the market is, how it stands, the household's wagers, and the games where it is the founder.

    market? --none, ours to make--> deploy, manager's role, tokens a round --> remembered in market.json
    every second: chain --> MarketState, Played --> judge, trainer, identity
                 WAGERS --> chain;  games that are over --> claims
                 founder: proposal --> chain, move by move (dealer.py)

Whatever fails here is said in health; rounds and rewards go on without it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.coordinator.calls import Call
from services.coordinator.chain import Chain, ChainError, ContractMissing, Reverted
from services.coordinator.link import Link
from services.coordinator.market.contract import MarketContract
from services.coordinator.market.dealer import Dealer
from services.coordinator.market.memory import Memory
from services.coordinator.market.wagers import Wagers
from services.coordinator.settings import MarketSettings
from shared.household import hosted_peers
from shared.market import MAX_PLAYED, STATE, STATE_TTL_S, WATCH, MarketState, Table, write

log = logging.getLogger(__name__)

LATEST = 2  # games that are looked at, beside those that were not over; at first, all that may be remembered
ROUND_TOKENS = 100  # each peer is given in each round it bets in
PART = "market"  # of the coordinator's health
NO_CHAIN = "a ledger has no prediction market: it needs a chain; unset PRG_GAME or set CHAIN_URL"


class Place(BaseModel):
    """A market that this household deployed."""

    model_config = ConfigDict(frozen=True)

    address: str  # 0x...
    swarm: str  # whose, see Contract.identity


class House:
    """One household's part in the market."""

    def __init__(
        self,
        market: MarketContract,
        chain: Chain,
        link: Link,
        settings: MarketSettings,
        home: Path,
        *,
        consumer: str,
        poll_s: float,
    ) -> None:
        self._market, self._chain, self._link, self._settings = market, chain, link, settings
        self._poll_s = min(poll_s, settings.clue_s / 8)
        self._path, self._store = home / "market.json", link.context.store
        self._memory = Memory(self._store)
        self._wagers = Wagers(market, link.context.queue, self._memory, consumer)
        self._dealer = Dealer(market, self._store, settings.clue_s)
        self._swarm = ""  # whose market was found
        self._deals, self._latest = False, MAX_PLAYED

    async def run(self) -> None:
        """Work until told to stop."""
        health = self._link.context.health
        while await self._link.context.sleep(self._poll_s):
            if not self._link.up.is_set() or not self._link.swarm:
                continue
            try:
                await self._step()
            except ChainError as error:
                self._swarm = ""  # it is looked for again
                health.degrade(PART, str(error))
            else:
                health.heal(PART)

    async def _step(self) -> None:
        if self._swarm != self._link.swarm:
            await self._find(self._link.swarm)
        tables = await self._look()
        await self._wagers.send()
        own = await hosted_peers(self._store)
        await self._wagers.claim(tables, own, time.time())
        self._latest = LATEST
        if self._deals:
            await self._dealer.step(tables)

    async def _look(self) -> list[Table]:
        """Tell the household how the market is; the latest games, and those that were not over at the last look."""
        count = await self._market.count()
        unfinished = await self._memory.unfinished(time.time())
        numbers = {*range(max(0, count - self._latest), count), *(n for n in unfinished if n < count)}
        tables = await self._market.tables(sorted(numbers))
        known = await self._memory.states()
        # The bets of a game that is over do not change any more.
        changing = [table.state in ("open", "closed") or known.get(table.game) != table.state for table in tables]
        tables = [
            await self._market.with_bets(table) if changes else table
            for table, changes in zip(tables, changing, strict=True)
        ]
        tables = await self._memory.see(tables)
        watched = [key.removeprefix(WATCH) for key in await self._store.keys(WATCH)]
        granted, each = await self._market.ask(Call("tokensGranted()", ()), Call("roundTokens()", ()))
        state = MarketState(
            swarm=self._swarm,
            contract=self._market.address,
            deals=self._deals,
            round_tokens=each,
            granted=granted,
            balances=await self._market.balances([*dict.fromkeys([*await hosted_peers(self._store), *watched])]),
            game=tables[-1] if tables else None,
        )
        await write(self._store, STATE, state, STATE_TTL_S)
        return tables

    # ---- where it is ----

    async def _find(self, swarm: str) -> None:
        """The swarm's market: the one in the settings, our own, or a new one of ours where we own the swarm."""
        owns = await self._chain.owned_by(self._chain.account)
        address = self._settings.contract or self._read(swarm)
        if address:
            self._market.use(address)
            try:
                await self._market.count()
            except ContractMissing:
                if self._settings.contract or not owns:
                    raise
                address = None
        contract = self._chain.contract or ""
        if not address and owns:
            address = await self._market.deploy(contract)
            self._write(Place(address=address, swarm=swarm))
            log.info("deployed the prediction market: PRG_CONTRACT=%s", address)
        if not address:
            raise ChainError("this swarm's market is not known", "set PRG_CONTRACT, or take a new invite")
        if owns:
            await self._take_over(contract)
        self._deals, self._swarm, self._memory.swarm = owns, swarm, swarm
        self._latest = MAX_PLAYED
        self._wagers.begin_anew()

    async def _take_over(self, swarm: str) -> None:
        """Make us the market's manager, and let peers have tokens, where that is not so yet."""
        await self._market.manage(swarm)
        (tokens,) = await self._market.ask(Call("roundTokens()", ()))
        if not tokens:
            (result,) = await self._market.send([Call("setRoundTokens(uint64)", (ROUND_TOKENS,))])
            if isinstance(result, Reverted):
                raise ChainError(f"no tokens can be given in the market ({result.error})", "see PRG_CONTRACT")

    def _read(self, swarm: str) -> str | None:
        try:
            place = Place.model_validate_json(self._path.read_text())
        except (FileNotFoundError, ValidationError):
            return None
        return place.address if place.swarm == swarm else None

    def _write(self, place: Place) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_text(place.model_dump_json(indent=2) + "\n")
        partial.replace(self._path)
