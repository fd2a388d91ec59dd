"""What the coordinator keeps in the store: its round, its counts, and where in the ledger to look back from.

coordinator:opened    Opened    the open round, so that a restart does not begin it anew
coordinator:tally     Tally     submissions of this household on the chain
coordinator:mark      Mark      cursors into LEDGER, 1000 to 2000 settled submissions back
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from shared.messages import Settled, Submission
from shared.queue import Queue, Store
from shared.streams import LEDGER

KNOWN = 4_000  # settled submissions whose keys are remembered
WINDOW = 1_000  # settled submissions that are certain to be looked at again when the chain went back

B = TypeVar("B", bound=BaseModel)


class Opened(BaseModel):
    """The open round as this household sees it."""

    model_config = ConfigDict(frozen=True)

    swarm: str  # see Contract.identity: of another swarm nothing here holds
    number: int
    stage: int
    stages: int = 1  # in this round
    opened_at: float  # unix seconds, when it was first seen here
    deadline: float
    reached: tuple[int, int]  # the latest round and stage this swarm was ever seen in
    finished: bool = False  # the last round is over
    paused: bool = False  # the household was told that no round follows for now
    forgotten: tuple[int, int] | None = None  # how far a chain of ours had come that was reset since


class Tally(BaseModel):
    """Submissions of this household on the chain, each counted once whatever dies when."""

    model_config = ConfigDict(frozen=True)

    rewards: int = 0
    winners: int = 0
    last: frozenset[str] = frozenset()  # keys counted that are not known to stand in LEDGER
    again: frozenset[str] = frozenset()  # keys the chain forgot: already counted, on their way back


class Mark(BaseModel):
    """Cursors into LEDGER."""

    model_config = ConfigDict(frozen=True)

    older: str = "0"
    newer: str = "0"
    settled: int = 0  # since `newer`


class Books:
    """Reads and writes them."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store, self._queue = store, queue
        self._known: dict[str, None] | None = None  # keys of what stands in LEDGER as landed; None: to be read there
        self._life = ""  # of the store, when they were read
        self._writing = asyncio.Lock()  # the clock and the submitter both change the tally

    async def opened(self) -> Opened | None:
        """The round that was open at the last look."""
        text = await self._store.get("coordinator:opened")
        return Opened.model_validate_json(text) if text else None

    async def put_opened(self, opened: Opened) -> None:
        """Keep the open round."""
        await self._store.put("coordinator:opened", opened.model_dump_json())

    async def tally(self) -> Tally:
        """The counts."""
        return await self._read("coordinator:tally", Tally)

    async def known(self, submissions: Sequence[Submission]) -> set[str]:
        """The keys of those that stand in LEDGER as landed, with the right transaction, and are counted."""
        return (set(await self._settled()) & {one.key for one in submissions}) - (await self.tally()).again

    async def expect(self, forgotten: Sequence[Submission]) -> None:
        """These are counted already and will settle again."""
        async with self._writing:
            tally = await self.tally()
            again = tally.again | {submission.key for submission in forgotten}
            await self._store.put("coordinator:tally", tally.model_copy(update={"again": again}).model_dump_json())

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Count a batch of settled submissions, write it into LEDGER, and move the mark along, before it is acked.

        Whatever stands in LEDGER is counted therefore, wherever a crash or a queue that lost its end cuts this off.
        """
        landed = [one for one in settled if one.outcome == "landed"]
        known = await self._settled()
        async with self._writing:
            await self._count(landed, known)
        for one in settled:
            await self._queue.publish(LEDGER, one)
        known |= dict.fromkeys(one.key for one in landed)
        while len(known) > KNOWN:
            del known[next(iter(known))]
        await self._move(len(settled))

    async def _count(self, landed: Sequence[Settled], known: Mapping[str, None]) -> None:
        tally = await self.tally()
        new = [one for one in landed if one.key not in known and one.key not in tally.last | tally.again]
        kinds = [one.submission.kind for one in new]
        tally = Tally(
            rewards=tally.rewards + kinds.count("reward"),
            winners=tally.winners + kinds.count("winners"),
            last=frozenset({key for key in tally.last if key not in known} | {one.key for one in new}),
            again=tally.again - {one.key for one in landed},
        )
        await self._store.put("coordinator:tally", tally.model_dump_json())

    async def _settled(self) -> dict[str, None]:
        life = await self._store.life()
        if self._known is None or life != self._life:  # a queue that was restarted may have lost the end of LEDGER
            self._life = life
            self._known = dict.fromkeys(submission.key for submission in await self.recent())
        return self._known

    async def recent(self) -> list[Submission]:
        """The last submissions that landed: `WINDOW` or more, if there were so many."""
        cursor, found = (await self._read("coordinator:mark", Mark)).older, dict[str, Submission]()
        while entries := await self._queue.read(LEDGER, cursor):
            cursor = entries[-1].id
            found |= {one.message.key: one.message.submission for one in entries if one.message.outcome == "landed"}
        return list(found.values())

    async def begin_anew(self) -> None:
        """Another swarm: its counts begin at nothing, and what landed before was elsewhere."""
        last = await self._queue.last(LEDGER)
        here = last.id if last else "0"
        async with self._writing:
            await self._store.put("coordinator:tally", Tally().model_dump_json())
        await self._store.put("coordinator:mark", Mark(older=here, newer=here).model_dump_json())
        self._known = {}

    async def _move(self, count: int) -> None:
        mark = await self._read("coordinator:mark", Mark)
        mark = mark.model_copy(update={"settled": mark.settled + count})
        if mark.settled >= WINDOW and (last := await self._queue.last(LEDGER)):
            mark = Mark(older=mark.newer, newer=last.id)
        await self._store.put("coordinator:mark", mark.model_dump_json())

    async def _read(self, key: str, model: type[B]) -> B:
        text = await self._store.get(key)
        return model.model_validate_json(text) if text else model()
