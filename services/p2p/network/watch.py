"""Keeps our own daemons alive, in a loop of its own: nothing that strangers are slow with delays a look at them.

every second: does each p2pd run, is our connection to it open, does it answer?
dead           started anew at once, same identity, same port
silent         started anew after `SILENCES` questions: 3 x (1.7 s + 1 s) at most
"""

from __future__ import annotations

from services.p2p.network.protocol import PeerNetwork
from services.p2p.pulse import Pulse
from shared.runtime import Context

CHECK_S = 1.0  # between two looks


class Watch:
    """Revives what has died and tells the household what could not be."""

    def __init__(self, network: PeerNetwork, context: Context, pulse: Pulse) -> None:
        self._network, self._context, self._pulse = network, context, pulse

    async def run(self) -> None:
        """Until told to stop."""
        health = self._context.health
        while True:
            if troubles := await self._network.revive():
                health.degrade("daemon", "; ".join(troubles))
            else:
                health.heal("daemon")
            self._pulse.advance("watch")
            if not await self._context.sleep(CHECK_S):
                return
