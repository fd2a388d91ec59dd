"""What the chain holds, of all peers of the swarm, told to the household: HISTORY.

    chain --a bounded number of blocks at a look--> Recorded --> HISTORY --then--> coordinator:history, how far we are
                                                       +-------> swarm:members, who is registered, for p2p

At least once: a process that dies in between tells the same again, under the same key. A chain that went back is read
again from the newest block that is still there; what stands in HISTORY of the blocks it lost comes back when its owner
sends it again. Another swarm is read from its first block, and `Recorded.swarm` tells one's records from the other's.

A task beside the clock that needs nobody's signature: an old and long chain is caught up with over many looks, and
holds nobody up.
"""

from __future__ import annotations

import logging

from pydantic import BaseModel, ConfigDict

from services.coordinator import metrics
from services.coordinator.chain import Chain, ChainDown, ChainError, Chapter, ContractMissing, Place
from services.coordinator.link import Link
from shared.household import Members, members, members_mark, put_members
from shared.messages import Registration
from shared.streams import HISTORY

log = logging.getLogger(__name__)

KEY = "coordinator:history"
BLOCKS = 10_000  # at a look
IDLE_S = 1.0  # between two looks when nothing more is there
NEWEST, KEPT = 16, 32  # places kept: the newest all, the older ones ever further apart


class Reading(BaseModel):
    """How far the history was told."""

    model_config = ConfigDict(frozen=True)

    swarm: str  # whose
    places: tuple[tuple[int, str], ...] = ()  # blocks and their hashes at the end of chapters, the newest last

    def at(self) -> Place | None:
        """The last place."""
        return Place(*self.places[-1]) if self.places else None

    def back(self) -> Reading:
        """One place back."""
        return self.model_copy(update={"places": self.places[:-1]})

    def on(self, place: Place) -> Reading:
        """One place further."""
        places = (*self.places, (place.block, place.hash))
        if len(places) > KEPT:
            places = places[:-NEWEST][::2] + places[-NEWEST:]
        return self.model_copy(update={"places": places})


class History:
    """Reads the contract's logs and tells them."""

    def __init__(self, chain: Chain, link: Link, poll_s: float) -> None:
        self._chain, self._link, self._poll_s = chain, link, poll_s
        self._queue, self._store = link.context.queue, link.context.store

    async def run(self) -> None:
        """Until told to stop."""
        context, more = self._link.context, True
        while await context.sleep(self._poll_s if more else max(self._poll_s, IDLE_S)):
            try:
                more = await self.look()
            except (ChainDown, ContractMissing):  # the clock says so
                more = False
            except ChainError as error:
                more = False
                context.health.degrade("history", str(error))
            else:
                context.health.heal("history")

    async def look(self) -> bool:
        """Tell the next chapter; True if more is there already. Raises ChainError."""
        if not (swarm := self._link.swarm):
            return False
        reading = await self._reading(swarm)
        while (chapter := await self._chain.history(reading.at(), BLOCKS)) is None:
            if reading.at() is None:
                return True  # it went back under our hands, at its very beginning
            reading = reading.back()
        if chapter.place != reading.at():
            await self._tell(chapter, reading.swarm)
            await self._store.put(KEY, reading.on(chapter.place).model_dump_json())
        return not chapter.complete

    async def _reading(self, swarm: str) -> Reading:
        text = await self._store.get(KEY)
        reading = Reading.model_validate_json(text) if text else Reading(swarm=swarm)
        listed, _ = await members_mark(self._store)
        if reading.swarm == listed == swarm:
            return reading
        return Reading(swarm=swarm)  # another swarm's, or the list of its peers is lost

    async def _tell(self, chapter: Chapter, swarm: str) -> None:
        await self._list(chapter, swarm)
        for one in chapter.recorded:
            await self._queue.publish(HISTORY, one.model_copy(update={"swarm": swarm}))
        if chapter.skipped:
            log.info("%d logs up to block %d are no submissions of peers", chapter.skipped, chapter.place.block)
        metrics.RECORDED.inc(len(chapter.recorded))
        metrics.SKIPPED.inc(chapter.skipped)
        metrics.HISTORY_BLOCK.set(chapter.place.block)
        self._link.context.health.facts["history"] = chapter.place.block

    async def _list(self, chapter: Chapter, swarm: str) -> None:
        """Add who registered to the list of the swarm's peers."""
        known = await members(self._store)
        before = known.peers if known.swarm == swarm else ()
        new = [one.submission.peer_id for one in chapter.recorded if isinstance(one.submission, Registration)]
        peers = tuple(dict.fromkeys([*before, *new]))
        if known.swarm != swarm or peers != before:
            await put_members(self._store, Members(swarm=swarm, peers=peers))
