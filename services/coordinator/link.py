"""What the clock, the submitter and the history tell each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from services.coordinator.verdicts import Standing
from shared.runtime import Context


@dataclass
class Link:
    """One coordinator's inner state."""

    context: Context
    up: asyncio.Event = field(default_factory=asyncio.Event)  # the chain answered at the last look
    voted: asyncio.Event = field(default_factory=asyncio.Event)  # votes of ours landed: look at once
    standing: Standing = field(default_factory=Standing)
    swarm: str = ""  # which one the chain was pointed at, at the last look; see `Contract.identity`; "": not known
    _pulsed: set[str] = field(default_factory=set)

    def pulse(self, loop: str) -> None:
        """A loop has advanced. The service is healthy only while both do."""
        self._pulsed.add(loop)
        if self._pulsed >= {"clock", "submitter"}:
            self._pulsed.clear()
            self.context.health.beat()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for `event`, at most so long, or less if told to stop; True if it is set."""
        stop = self.context.stop
        waits = [asyncio.ensure_future(one.wait()) for one in (event, stop)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return event.is_set()
