"""Staying in the swarm: dead daemons are revived, entry points and old acquaintances met again, seats added."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.p2p import metrics
from services.p2p.network.peerbook import PeerBook
from services.p2p.network.protocol import PeerNetwork
from services.p2p.network.seats import Seats
from services.p2p.pulse import Pulse
from services.p2p.settings import is_address
from shared.household import bootnodes
from shared.runtime import Context

log = logging.getLogger(__name__)

CHECK_S = 1.0  # between two looks at our own daemons
MEET_EVERY = 3  # looks between two rounds of meeting others
MAX_BOOTNODES = 32


class Membership:
    """Keeps the network up and tells the household how it stands."""

    def __init__(
        self,
        network: PeerNetwork,
        seats: Seats,
        context: Context,
        pulse: Pulse,
        book: PeerBook,
        initial_peers: Sequence[str],
    ) -> None:
        self._network, self._seats, self._context, self._pulse = network, seats, context, pulse
        self._book, self._initial = book, tuple(initial_peers)

    async def run(self) -> None:
        """Until told to stop."""
        looks = 0
        while True:
            await self._look_after_daemons()
            await self._seats.look()
            if looks % MEET_EVERY == 0:
                await self._meet()
            looks += 1
            self._pulse.advance("membership")
            if not await self._context.sleep(CHECK_S):
                return

    async def _look_after_daemons(self) -> None:
        if troubles := await self._network.revive():
            self._context.health.degrade("daemon", "; ".join(troubles))
        else:
            self._context.health.heal("daemon")

    async def _meet(self) -> None:
        """Also when we know peers: the swarm may have been torn in two, and entry points join the halves."""
        entries = await self._entry_points()
        connected = await self._network.join(dict.fromkeys([*entries, *self._book.addresses]))
        self._book.add(await self._network.known_addresses())
        self._tell(entries, connected, await self._network.addresses())

    async def _entry_points(self) -> list[str]:
        chain = [text for text in await bootnodes(self._context.store) if is_address(text)]
        found = dict.fromkeys([*self._initial, *chain[:MAX_BOOTNODES]])
        return [text for text in found if text.rpartition("/")[2] not in self._network.hosted]

    def _tell(self, entries: list[str], connected: set[str], own: list[str]) -> None:
        health = self._context.health
        if connected or not entries:  # without any entry point we are the swarm's first household
            health.heal("peers")
        else:
            health.degrade("peers", f"none of {len(entries)} entry points answers ({entries[0]})")
        metrics.CONNECTED.set(len(connected))
        health.facts["connected"] = len(connected)
        if own:
            health.facts["addresses"] = " ".join(own)
