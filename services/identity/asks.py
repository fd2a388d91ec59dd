"""The questions that are being answered: one at a time for each session, until its end or a time limit."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from shared.asks import Ask, Piece
from shared.queue import Queue
from shared.runtime import Context
from shared.streams import ANSWERS, ASKS

LIMIT_S = 180.0  # for an answer as a whole
WAIT_S = 1.0
MAX_PENDING = 64  # questions


class AskError(Exception):
    """A question that is not taken now; says why."""


@dataclass(frozen=True)
class Pending:
    """A question on its way."""

    ask: str  # id
    session: str
    cursor: str  # in ANSWERS, before its first piece
    until: float  # by `clock`


@dataclass
class Asks:
    """All of them, by id."""

    clock: Callable[[], float] = time.monotonic
    pending: dict[str, Pending] = field(default_factory=dict)

    async def ask(self, queue: Queue, session: str, question: str) -> str:
        """Publish a question; its id. Raises AskError, and QueueFullError when too many wait."""
        await self._settle(queue)
        if any(one.session == session for one in self.pending.values()):
            raise AskError("one question at a time: the last one is still being answered")
        if len(self.pending) >= MAX_PENDING:
            raise AskError("too many questions are being answered; try again in a minute")
        id_ = secrets.token_hex(16)
        self.pending[id_] = Pending(id_, session, "0", self.clock() + LIMIT_S)  # first: two clicks are one question
        try:
            last = await queue.last(ANSWERS)
            self.pending[id_] = Pending(id_, session, last.id if last else "0", self.clock() + LIMIT_S)
            await queue.publish(ASKS, Ask(id=id_, at=time.time(), question=question))
        except BaseException:  # cancelled, too; it goes on as it came
            del self.pending[id_]
            raise
        return id_

    def find(self, id_: str, session: str) -> Pending | None:
        """A question of this session."""
        found = self.pending.get(id_)
        return found if found is not None and found.session == session else None

    async def follow(self, pending: Pending, context: Context) -> AsyncIterator[Piece | None]:
        """The answer's pieces, None now and then while there are none; ends after the last piece or at the limit."""
        cursor = pending.cursor
        while self.clock() < pending.until and not context.stop.is_set():
            entries = await context.queue.read(ANSWERS, cursor, wait_s=WAIT_S)
            cursor = entries[-1].id if entries else cursor
            for entry in entries:
                if entry.message.ask == pending.ask:
                    yield entry.message
                    if entry.message.done:
                        self.pending.pop(pending.ask, None)
                        return
            yield None
        self.pending.pop(pending.ask, None)

    async def _settle(self, queue: Queue) -> None:
        """Let go of those that are through though nobody looked, or too old."""
        for one in list(self.pending.values()):
            entries = await queue.read(ANSWERS, one.cursor) if self.clock() < one.until else []
            done = any(entry.message.ask == one.ask and entry.message.done for entry in entries)
            if done or self.clock() >= one.until:
                self.pending.pop(one.ask, None)
