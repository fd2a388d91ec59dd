"""Who is through with the open stage, and who is waited for."""

from __future__ import annotations

from services.coordinator import metrics
from services.coordinator.chain import Chain, Head
from shared.household import LEASE, hosted_peers
from shared.queue import Store

RECENT_ROUNDS = 3  # who voted in one of these is waited for


class Attendance:
    """Asks the chain and the household. Raises ChainError."""

    def __init__(self, chain: Chain, store: Store) -> None:
        self._chain, self._store = chain, store
        self._past: dict[int, frozenset[str]] = {}  # voters of the rounds before the open one

    def forget(self) -> None:
        """The chain is another."""
        self._past.clear()

    async def of(self, head: Head) -> tuple[frozenset[str], frozenset[str]]:
        """The peers that are through with the stage of `head`, and those that are or should be."""
        closes = head.stage + 1 >= head.stages
        voted = await self._chain.voters(head.round)
        through = voted if closes else await self._chain.rewarded(head.round, head.stage)
        expected = through | await self._expected(head)
        metrics.EXPECTED.set(len(expected))
        metrics.VOTERS.set(len(through))
        return through, expected

    async def _expected(self, head: Head) -> frozenset[str]:
        """Our own peers that somebody trains, and all that voted lately."""
        leased = {key.removeprefix(LEASE) for key in await self._store.keys(LEASE)}
        ours = leased.intersection(await hosted_peers(self._store))
        recent = range(max(0, head.round - RECENT_ROUNDS), head.round)
        self._past = {number: self._past.get(number) or await self._chain.voters(number) for number in recent}
        return frozenset(ours).union(*self._past.values())
