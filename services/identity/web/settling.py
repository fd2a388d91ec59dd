"""What a stock node sends goes onto a stream, and its request waits for the chain's word on another.

request --SUBMISSIONS, WAGERS--> coordinator --> chain
   ^                                 |
   +---{hash}, or StockError <--LEDGER, WAGERED
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from services.identity.metrics import STOCK
from services.identity.parts import Parts
from shared.errors import QueueFullError
from shared.messages import Settled, Submission
from shared.streams import Stream
from shared.wagers import Wager, Wagered

S = TypeVar("S", bound=Submission | Wager)
E = TypeVar("E", bound=Settled | Wagered)

SETTLE_S = 60.0  # longest wait for the chain; what was sent stays in the outbox
MAX_WAITING = 64  # requests that wait for the chain at the same time
waiting = asyncio.Semaphore(MAX_WAITING)
"""Held by a request that waits for the chain."""


class StockError(Exception):
    """What a stock node is told instead."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


async def settle(
    parts: Parts, stream: Stream[S], sent: S, ends: Stream[E], earlier: Callable[[], str] = lambda: ""
) -> dict[str, str]:
    """Send, and wait for the end; `earlier` names the error where it has come before. Raises StockError."""
    if waiting.locked():
        raise StockError(503, "Busy")
    async with waiting:
        end = await _end(parts, stream, sent, ends, earlier)
    STOCK.labels(sent.kind, end.outcome).inc()
    if end.outcome == "refused":
        raise StockError(400, end.reason or "Refused")
    return {"hash": end.transaction or ""}


async def send(parts: Parts, stream: Stream[S], sent: S) -> None:
    """Into the outbox. Raises StockError."""
    try:
        await parts.context.queue.publish(stream, sent)
    except QueueFullError as error:
        raise StockError(503, "OutboxFull") from error


async def _end(parts: Parts, stream: Stream[S], sent: S, ends: Stream[E], earlier: Callable[[], str]) -> E:
    queue = parts.context.queue
    last = await queue.last(ends)
    cursor, until = last.id if last else "0", time.monotonic() + SETTLE_S
    await send(parts, stream, sent)
    while (left := until - time.monotonic()) > 0 and not parts.context.stop.is_set():
        problem = earlier()
        for entry in await queue.read(ends, cursor, wait_s=min(left, 1.0)):
            cursor = entry.id
            if entry.message.key == sent.key:
                return entry.message
        if problem:  # and before we began to look: the view learnt of it a moment too late for the first question
            raise StockError(400, problem)
    raise StockError(504, "StillWaitingForTheChain")
