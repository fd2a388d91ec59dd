"""Submissions on their way to the coordinator. A queue that is full of them does not stop the training.

    send --> held, the newest 48 --room?--> SUBMISSIONS
               |        ^   |
               |        +---+ full: degraded, tried again with the next one, and every second
               +-- more than that: the oldest is lost

A coordinator that may not sign, because its household has not logged in, takes nothing for days.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from services.trainer import metrics
from services.trainer.state.checkpoint import REMEMBERED, Sent
from shared.errors import QueueFullError
from shared.messages import Registration, Reward, Trained, Winners
from shared.runtime import Context
from shared.streams import EVENTS, ROUNDS, SUBMISSIONS


class Outbox:
    """Writes SUBMISSIONS, in order."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._held: deque[Registration | Reward | Winners] = deque()
        self._writing = asyncio.Lock()
        self._life = ""  # of the queue, when `unsent` was last queued again

    async def send(self, message: Registration | Reward | Winners) -> None:
        """Queue a submission now, or as soon as there is room."""
        self._held.append(message)
        await self.flush()
        if message in self._held:
            metrics.HELD_BACK.inc()
        while len(self._held) > REMEMBERED:
            self._held.popleft()
            metrics.LOST.inc()

    async def flush(self) -> None:
        """Queue what is held back, as far as there is room."""
        if not self._held:
            return
        async with self._writing:
            while self._held:
                message = self._held[0]
                try:
                    await self._context.queue.publish(SUBMISSIONS, message)
                except QueueFullError:
                    reason = f"{SUBMISSIONS.bound} wait for the chain, and no more can; see the coordinator"
                    self._context.health.degrade("submissions", reason)
                    return
                if self._held and self._held[0] is message:  # else it was forgotten meanwhile
                    self._held.popleft()
        self._context.health.heal("submissions")

    async def resend(self, swarm: str, unsent: Sequence[Sent]) -> None:
        """Queue (again) what a crash kept from the queue, or the queue forgot, once in each of the queue's lives.

        Only where the open round tells that this is still the swarm it was meant for.
        """
        await self.flush()
        life, last = await self._context.store.life(), await self._context.queue.last(ROUNDS)
        if life == self._life or last is None:
            return
        self._life = life
        for message in unsent if last.message.swarm == swarm else ():
            if isinstance(message, Trained):
                await self._context.queue.publish(EVENTS, message)
            else:
                await self.send(message)

    def forget(self) -> None:
        """What is held back was meant for another swarm."""
        self._held.clear()
