"""What the chain must hold, checked against what it holds: submissions it forgot are queued again.

A chain can lose its last moments (a node that was killed before it wrote them, a reorganization) or everything. So the
submissions settled last are looked up again at each start and whenever a block that was seen is gone, and the peers
this household hosts are registered wherever they are not.
"""

from __future__ import annotations

import logging
import time

from services.coordinator import metrics
from services.coordinator.books import Books
from services.coordinator.chain import Chain, Head
from shared.household import hosted_peers
from shared.messages import Registration, Submission
from shared.runtime import Context
from shared.streams import SUBMISSIONS

log = logging.getLogger(__name__)

PATIENCE_S = 10.0  # for a registration that is on its way, before it is queued again


class Recall:
    """Looks back when the chain went back."""

    def __init__(self, chain: Chain, books: Books, context: Context) -> None:
        self._chain, self._books, self._queue, self._store = chain, books, context.queue, context.store
        self._due = True
        self._again: list[Submission] = []  # registrations of a chain that was reset
        self._missing: dict[str, float] = {}  # hosted peers without registration: when it is queued (monotonic)
        self._hosted: list[str] = []
        self.registered = 0  # peers of this household on the chain

    async def begin_anew(self) -> None:
        """The chain is another: registrations are due again, rewards and votes were the old chain's."""
        landed = await self._books.recent()
        self._again = [submission for submission in landed if isinstance(submission, Registration)]
        await self._books.begin_anew()
        self._due, self._missing = True, {}

    async def after(self, head: Head) -> None:
        """Queue again what the chain forgot. Raises ChainError."""
        if self._due or head.forgot:
            self._due = True
            await self._look_back()
            self._due, self._hosted = False, []
        await self._register()

    async def _look_back(self) -> None:
        landed = [*await self._books.recent(), *self._again]
        held = await self._chain.holds(landed)
        lost = [submission for submission, there in zip(landed, held, strict=True) if not there]
        if lost:
            log.warning("the chain forgot %d of our last %d submissions: sending them again", len(lost), len(landed))
            await self._books.expect(lost)
        for submission in lost:
            await self._queue.publish(SUBMISSIONS, submission)
            metrics.RESUBMITTED.inc()
        self._again = []

    async def _register(self) -> None:
        """Hosted peers are registered by p2p's submissions; what is not there in time is queued from here."""
        hosted = await hosted_peers(self._store)
        if hosted == self._hosted and self.registered == len(hosted):
            return
        owners = dict(zip(hosted, await self._chain.owners(hosted), strict=True))
        self._hosted, self.registered = hosted, list(owners.values()).count("us")
        now = time.monotonic()
        nobodys = [peer for peer, owner in owners.items() if owner == "nobody"]
        self._missing = {peer: self._missing.get(peer, now + PATIENCE_S) for peer in nobodys}
        for peer in nobodys:
            if self._missing[peer] <= now:
                self._missing[peer] = now + PATIENCE_S
                await self._queue.publish(SUBMISSIONS, Registration(peer_id=peer))
