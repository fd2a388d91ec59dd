"""Staying in the swarm: entry points and old acquaintances are met again, seats added."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.p2p import metrics
from services.p2p.network.peerbook import PeerBook
from services.p2p.network.protocol import PeerNetwork
from services.p2p.network.seats import Seats
from services.p2p.network.unity import Unity
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import is_address
from shared.household import bootnodes
from shared.names import name_of
from shared.runtime import Context

log = logging.getLogger(__name__)

CHECK_S = 1.0  # between two looks at the seats
MEET_EVERY = 3  # looks between two rounds of meeting others
UNITE_EVERY = 30  # looks between two at the swarm as a whole
MAX_BOOTNODES = 32


class Membership:
    """Keeps the network up and tells the household how it stands."""

    def __init__(
        self,
        network: PeerNetwork,
        seats: Seats,
        context: Context,
        pulse: Pulse,
        rounds: Rounds,
        book: PeerBook,
        initial_peers: Sequence[str],
    ) -> None:
        self._network, self._seats, self._context, self._pulse = network, seats, context, pulse
        self._rounds, self._book, self._initial = rounds, book, tuple(initial_peers)
        self._unity = Unity(context.queue, network)
        self._connected: set[str] = set()

    async def run(self) -> None:
        """Until told to stop."""
        looks = 0
        while True:
            await self._seats.look()
            if looks % MEET_EVERY == 0:
                await self._meet()
            if looks % UNITE_EVERY == 0:
                await self._unite()
            looks += 1
            self._pulse.advance("membership")
            if not await self._context.sleep(CHECK_S):
                return

    async def _meet(self, *, now: bool = False) -> None:
        """Also when we know peers: the swarm may have been torn in two, and entry points join the halves."""
        entries = await self._entry_points()
        self._connected = await self._network.join(dict.fromkeys([*entries, *self._book.addresses]), now=now)
        self._book.add(await self._network.known_addresses())
        self._tell(entries, self._connected, await self._network.addresses())

    async def _unite(self) -> None:
        """Tell, and mend, what shows only from above: a swarm in two, a peer that is there twice."""
        if (current := self._rounds.current) is None:
            return
        await self._network.read_back()
        self._tell_clones()
        lost, training = await self._unity.lost(current.number, self._connected)
        metrics.LOST.set(len(lost))
        if not lost:
            self._context.health.heal("split")
            return
        self._context.health.degrade(
            "split",
            f"{len(lost)} of {training} peers that train by the chain's word cannot be reached "
            f"({name_of(min(lost))}, ...): all known addresses are tried again; add one of their side to INITIAL_PEERS",
        )
        await self._meet(now=True)

    def _tell_clones(self) -> None:
        cloned = self._network.sightings.cloned()
        metrics.CLONED.set(len(cloned))
        if not cloned:
            self._context.health.heal("clone")
            return
        self._context.health.degrade(
            "clone",
            f"somebody else speaks as our peer {' '.join(sorted(cloned))}: its key is in use twice. "
            "Stop one of the two, move its identity file away, and let it make a new one",
        )

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
        current = self._rounds.current
        linked = self._network.sightings.linked(current.number) if current else ()
        metrics.LINKED.set(len(linked))
        health.facts["linked"] = len(linked)
        if own:
            health.facts["addresses"] = " ".join(own)
