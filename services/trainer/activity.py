"""What this trainer is doing, told to the household whenever that changes."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from shared.household import PHASE_TTL_S, Activity, put_activity
from shared.queue.redis import RedisError
from shared.runtime import Context

log = logging.getLogger(__name__)

Doing = Literal["waiting", "sampling", "exchanging", "learning", "saving", "answering"]
AGAIN_S = PHASE_TTL_S / 6  # after which the same is told once more, before it expires
ALONE = -1  # instead of a round's number


class Diary:
    """`await diary("sampling", 7)`: one small write at each change, and none in between."""

    def __init__(self, context: Context, peer: str) -> None:
        self._context, self._peer = context, peer
        self._told: Activity | None = None
        self._told_at = 0.0  # monotonic

    async def __call__(self, doing: Doing, round_number: int) -> None:
        """From now on this is done. A store that does not take the word costs the word, not the round."""
        last, fresh = self._told, time.monotonic() - self._told_at < AGAIN_S
        same = last is not None and (last.phase, last.round) == (doing, round_number)
        if last is None or not same:
            last = Activity(phase=doing, round=round_number, since=time.time())
        elif fresh:
            return
        self._told, self._told_at = last, time.monotonic()
        try:
            await put_activity(self._context.store, self._peer, last)
        except RedisError as error:
            log.debug("nobody knows that we are %s: %s", doing, error)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """For a while somebody's question is answered; then what was done before goes on."""
        before = self._told
        await self("answering", before.round if before else ALONE)
        yield
        if before is not None:
            await self(before.phase, before.round)
