"""The open round, as the coordinator tells it."""

from __future__ import annotations

from services.p2p.pulse import Pulse
from shared.messages import Round
from shared.runtime import Context
from shared.streams import ROUNDS

WAIT_S = 1.0


class Rounds:
    """Follows the stream of rounds; `current` is the newest."""

    def __init__(self, context: Context, pulse: Pulse) -> None:
        self._context, self._pulse = context, pulse
        self.current: Round | None = None

    async def run(self) -> None:
        """Until told to stop."""
        newest = await self._context.queue.last(ROUNDS)
        cursor = "0"
        if newest is not None:
            cursor, self.current = newest.id, newest.message
        while not self._context.stop.is_set():
            for entry in await self._context.queue.read(ROUNDS, cursor, wait_s=WAIT_S):
                cursor, self.current = entry.id, entry.message
            self._pulse.advance("rounds")
