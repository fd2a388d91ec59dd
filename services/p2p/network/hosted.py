"""The real `PeerNetwork`: all peers of this household, each a node with a p2pd of its own (node.py).

announce       by the peer's own node
announcements  by one node some times in a row, as it then knows whom to ask; then by another
fetch          by any node but the author's: rollouts of two peers of one household travel the same way as all
join           every node meets its elder siblings, then all others; one node tries the entry points and the peers of
               earlier days, and whom it meets, the others meet too
seek           a peer by its name alone: p2pd remembers addresses, and asks others for them
revive         a node whose p2pd died or hangs comes back with the same identity on the same port
host           one more seat, on the next port
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import time
from collections.abc import Iterable, Sequence
from statistics import median

from services.p2p import metrics
from services.p2p.bridge.door import key_of
from services.p2p.network.daemon import Pids, free_port
from services.p2p.network.identities import Identity
from services.p2p.network.node import Node
from services.p2p.network.protocol import NetworkError, Serve
from services.p2p.network.reach import reach_flags
from services.p2p.network.seat import Attempts, Seat
from services.p2p.network.sightings import Sightings
from services.p2p.settings import P2PSettings
from services.p2p.trust.gate import Gate
from services.p2p.wire.buckets import Place

log = logging.getLogger(__name__)


READS = 16  # by one node, before another takes its turn
SPREAD = 0.25  # of the pause, at random: those who lost the same entry point do not all come back at once
STOCK_BEAM = 4  # nodes near a key of stock nodes that are asked: each answers with the whole of it
SILENCES = 3  # unanswered questions after which a running p2pd counts as dead


class HostedPeers:
    """`PeerNetwork` over real nodes."""

    def __init__(self, settings: P2PSettings, identities: Sequence[Identity], gate: Gate) -> None:
        self._settings, self._gate = settings, gate
        self._pids = Pids(settings.state_dir / "p2p" / "daemons.json")
        self._serve: Serve = lambda sha256, remote: None
        self._seats = [Seat(identity, settings.port_of(index)) for index, identity in enumerate(identities)]
        self._turn, self._reads = itertools.count(), itertools.count()
        self._told: dict[str, str] = {}  # hosted peer -> the key of its last announcement
        self.sightings = Sightings(settings.announce_s, time.time)
        gate.on_admitted.append(self.sightings.see)
        self.hosted = tuple(identity.peer_id for identity in identities)
        for peer in self.hosted:
            self.sightings.host(peer)
        self.generation = 0
        self.entries = settings.initial_peers  # entry points that a p2pd started from now on may be relayed by

    async def start(self) -> None:
        """Bring all peers up, alone or not. Raises NetworkError; `stop` then ends those that are up.

        Those beyond the settings' number, hosted on demand earlier, may stay down at first: `revive` tries again.
        """
        self._pids.kill_leftovers()
        failures = await asyncio.gather(*(self._start(seat) for seat in self._seats), return_exceptions=True)
        for index, failure in enumerate(failures):
            if isinstance(failure, NetworkError) and index >= self._settings.peers:
                log.warning("%s is not up yet: %s", self.hosted[index], failure)
            elif failure is not None:
                raise failure
        await self.join(())

    async def host(self, identity: Identity) -> None:
        """See `PeerNetwork.host`."""
        seat = Seat(identity, self._settings.port_of(len(self._seats)))
        await self._start(seat)
        self._seats.append(seat)
        self.hosted = (*self.hosted, identity.peer_id)
        self.sightings.host(identity.peer_id)
        await self.join(())

    async def _start(self, seat: Seat) -> None:
        seat.port = free_port(self._settings.listen_host, seat.port)
        told, name = self._settings, self._settings.announce_host
        listen = _multiaddress(told.listen_host, seat.port)
        seat.node = await Node.start(
            seat.identity,
            listen,
            _multiaddress(name, seat.port) if name else None,
            self._gate,
            self._pids,
            self._answer,
            reach_flags(told.relay, bootnode=told.bootnode, listen=listen, entries=self.entries),
        )
        seat.silences, seat.attempts = 0, {}

    async def stop(self) -> None:
        """Leave the swarm; no process stays."""
        await asyncio.gather(*(seat.node.stop() for seat in self._seats if seat.node is not None))

    def serve(self, serve: Serve) -> None:
        """See `PeerNetwork.serve`."""
        self._serve = serve

    def _answer(self, sha256: str, remote: str) -> bytes | None:
        return self._serve(sha256, remote)

    def alive(self) -> bool:
        """See `PeerNetwork.alive`."""
        return all(seat.running for seat in self._seats)

    def _running(self) -> list[Node]:
        return [node for seat in self._seats if (node := seat.running) is not None]

    def _any(self, but: str) -> Node:
        """A node that can be used, but that of one peer; another one each time."""
        able = [node for node in self._running() if node.identity.peer_id != but]
        if not able:
            raise NetworkError("no other peer here could ask for it")
        return able[next(self._turn) % len(able)]

    async def announce(self, peer: str, place: Place, value: bytes, expiration: float) -> None:
        """See `PeerNetwork.announce`."""
        key = self._told[peer] = place.key(self._settings.swarm)
        self.sightings.wrote(peer, expiration)
        await self._node_of(peer).store(key, value, expiration)

    def _node_of(self, peer: str) -> Node:
        if (node := self._seats[self.hosted.index(peer)].running) is None:
            raise NetworkError("p2pd of this peer does not run")
        return node

    async def announcements(self, place: Place) -> dict[str, bytes]:
        """See `PeerNetwork.announcements`."""
        return await self._reader().read(place.key(self._settings.swarm))

    def _reader(self) -> Node:
        if not (able := self._running()):
            raise NetworkError("no p2pd of ours runs")
        return able[next(self._reads) // READS % len(able)]

    def population(self) -> float:
        """See `PeerNetwork.population`; the middle one of what our nodes tell, as one place may be besieged."""
        return median([node.population() for node in self._running()] or [1.0])

    async def write_stock(self, peer: str, round_number: int, value: bytes, expiration: float) -> None:
        """See `PeerNetwork.write_stock`."""
        await self._node_of(peer).store(key_of(round_number), value, expiration)

    async def read_stock(self, round_number: int) -> dict[str, bytes]:
        """See `PeerNetwork.read_stock`."""
        return await self._reader().read(key_of(round_number), STOCK_BEAM, quick=False)

    async def fetch(self, peer: str, sha256: str) -> bytes:
        """See `PeerNetwork.fetch`."""
        return await self._any(but=peer).fetch(peer, sha256, self._settings.fetch_timeout_s)

    async def read_back(self) -> None:
        """See `PeerNetwork.read_back`."""
        for node, key in zip(self._running(), sorted(set(self._told.values())), strict=False):
            with contextlib.suppress(NetworkError):
                await node.read(key)

    async def join(self, addresses: Iterable[str], *, now: bool = False) -> set[str]:
        """See `PeerNetwork.join`."""
        outside = [address for address in addresses if _peer_of(address) not in self.hosted]
        ours = await self.addresses()
        for seat in self._seats:
            seat.forget({} if now else {*outside, *ours})
        # Two p2pds that dial each other in the same moment take each other for the one that answers: both fail, and
        # neither dials the other again for five seconds. So of two siblings the younger dials, and first.
        elder = [[one for one in ours if _peer_of(one) in self.hosted[:age]] for age in range(len(self._seats))]
        met = await asyncio.gather(*(self._acquaint(*pair) for pair in zip(self._seats, elder, strict=True)))
        scouts = [seat for seat in self._seats if seat.running is not None][:1]
        met += [await self._acquaint(scout, outside) for scout in scouts]
        living = [address for address in outside if _peer_of(address) in self._known()]
        met += await asyncio.gather(*(self._acquaint(seat, [*ours, *living]) for seat in self._seats))
        if any(met):
            self.generation += 1  # the new ones do not hold what we announced
        await asyncio.gather(*(self._look_around(node) for node in self._running()))
        return self._known() - set(self.hosted)

    def _known(self) -> set[str]:
        return set().union(*(node.neighbours() for node in self._running()))

    async def seek(self, peers: Iterable[str]) -> set[str]:
        """See `PeerNetwork.seek`."""
        wanted, nodes = set(peers) - self._known(), self._running()[:1]
        before = self._known()
        await asyncio.gather(*(self._seek(node, peer) for node in nodes for peer in wanted))
        if self._known() - before:
            self.generation += 1
        return wanted - self._known()

    async def _seek(self, node: Node, peer: str) -> None:
        with contextlib.suppress(NetworkError):
            await node.meet(f"/p2p/{peer}")

    async def _acquaint(self, seat: Seat, addresses: list[str]) -> bool:
        """Let one of our peers meet those whom it does not know; True if it met any."""
        if (node := seat.running) is None:
            return False
        known = {*node.neighbours(), node.identity.peer_id}
        strangers = [address for address in addresses if _peer_of(address) not in known]
        return any(await asyncio.gather(*(self._meet(seat, node, address) for address in strangers)))

    async def _look_around(self, node: Node) -> None:
        with contextlib.suppress(NetworkError):
            await node.look_around()

    async def _meet(self, seat: Seat, node: Node, address: str) -> bool:
        """Try an address if it is due; True if that worked."""
        attempts = seat.attempts.setdefault(address, Attempts())
        if time.monotonic() < attempts.at:
            return False
        try:
            await node.meet(address)
        except NetworkError as error:
            log.debug("%s does not answer: %s", address, error)
            attempts.put_off(time.monotonic(), random.uniform(1 - SPREAD, 1 + SPREAD))
            return False
        seat.attempts.pop(address, None)
        return True

    async def revive(self) -> list[str]:
        """See `PeerNetwork.revive`."""
        troubles = await asyncio.gather(*(self._revive(seat) for seat in self._seats))
        return [trouble for trouble in troubles if trouble]

    async def _revive(self, seat: Seat) -> str:
        """Put a new node where one has died; what is wrong if that failed."""
        if (node := seat.running) is not None:
            seat.silences = 0 if await node.responds() else seat.silences + 1
            if node.alive and seat.silences < SILENCES:
                return ""
        log.warning("p2pd of %s has died or hangs: started again", seat.identity.peer_id)
        metrics.RESTARTS.inc()
        if seat.node is not None:
            await seat.node.stop(at_once=True)
            seat.node = None
        try:
            await self._start(seat)
        except NetworkError as error:
            return f"{seat.identity.peer_id}: {error}"
        self.generation += 1
        return ""

    async def addresses(self) -> list[str]:
        """See `PeerNetwork.addresses`."""
        found: list[str] = []
        for node in self._running():
            with contextlib.suppress(NetworkError):
                found += await node.addresses()
        return found

    async def known_addresses(self) -> list[str]:
        """See `PeerNetwork.known_addresses`."""
        found: dict[str, None] = {}
        for node in self._running():
            with contextlib.suppress(NetworkError):
                for peer, addresses in (await node.connections()).items():
                    if peer not in self.hosted and peer in node.neighbours():
                        found.update(dict.fromkeys(addresses))
        return list(found)


def _peer_of(address: str) -> str:
    return address.rpartition("/")[2]


def _multiaddress(host: str, port: int) -> str:
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns4"
    return f"/{kind}/{host}/tcp/{port}"
