"""`PeerNetwork` in one process, for tests; the same contract tests run on it and on the real one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.p2p.bridge.door import key_of
from services.p2p.network.identities import Identity
from services.p2p.network.protocol import NetworkError, Serve
from services.p2p.network.sightings import Sightings
from services.p2p.trust.gate import Gate
from services.p2p.wire.announcement import place_id
from services.p2p.wire.buckets import Place


@dataclass
class World:
    """All that the networks of one test share."""

    records: dict[str, dict[str, tuple[bytes, float]]] = field(default_factory=dict)  # key -> peer -> value, expiration
    networks: list[MemoryNetwork] = field(default_factory=list)


class MemoryNetwork:
    """`PeerNetwork` without a network; `dead` stands for hosted peers whose daemon was killed."""

    def __init__(self, world: World, swarm: str, hosted: Sequence[str], gate: Gate) -> None:
        self.hosted, self.generation = tuple(hosted), 0
        self.dead: set[str] = set()
        self._world, self._swarm, self._gate = world, swarm, gate
        self.sightings = Sightings(3_600, time.time)
        gate.on_admitted.append(self.sightings.see)
        for peer in hosted:
            self.sightings.host(peer)
        self._serve: Serve = lambda sha256, remote: None
        world.networks.append(self)

    async def start(self) -> None:
        """Nothing to bring up."""

    async def stop(self) -> None:
        """Leave the world."""
        self._world.networks.remove(self)

    async def host(self, identity: Identity) -> None:
        """See `PeerNetwork.host`."""
        self.hosted = (*self.hosted, identity.peer_id)
        self.sightings.host(identity.peer_id)
        self.generation += 1

    def serve(self, serve: Serve) -> None:
        """See `PeerNetwork.serve`."""
        self._serve = serve

    def alive(self) -> bool:
        """See `PeerNetwork.alive`."""
        return not self.dead

    async def announce(self, peer: str, place: Place, value: bytes, expiration: float) -> None:
        """See `PeerNetwork.announce`."""
        if peer in self.dead:
            raise NetworkError("p2pd of this peer does not run")
        self.sightings.wrote(peer, expiration)
        key = place.key(self._swarm)
        if self._gate.admit(place_id(key), peer, value, expiration):
            self.write(key, peer, value, expiration)

    def write(self, key: str, subkey: str, value: bytes, expiration: float) -> None:
        """Write a record as a stranger could who has no gate."""
        self._world.records.setdefault(key, {})[subkey] = (value, expiration)

    async def announcements(self, place: Place) -> dict[str, bytes]:
        """See `PeerNetwork.announcements`."""
        return self._read(place.key(self._swarm))

    def _read(self, key: str) -> dict[str, bytes]:
        if self.dead >= set(self.hosted):
            raise NetworkError("no p2pd of ours runs")
        records = self._world.records.get(key, {})
        return {
            peer: value
            for peer, (value, until) in records.items()
            if self._gate.admit(place_id(key), peer, value, until)
        }

    def population(self) -> float:
        """See `PeerNetwork.population`."""
        return float(sum(len(other.hosted) for other in self._world.networks))

    async def write_stock(self, peer: str, round_number: int, value: bytes, expiration: float) -> None:
        """See `PeerNetwork.write_stock`."""
        if peer in self.dead:
            raise NetworkError("p2pd of this peer does not run")
        self.write(key_of(round_number), peer, value, expiration)

    async def read_stock(self, round_number: int) -> dict[str, bytes]:
        """See `PeerNetwork.read_stock`."""
        return self._read(key_of(round_number))

    async def fetch(self, peer: str, sha256: str) -> bytes:
        """See `PeerNetwork.fetch`."""
        askers = [hosted for hosted in self.hosted if hosted != peer and hosted not in self.dead]
        authors = [other for other in self._world.networks if peer in other.hosted and peer not in other.dead]
        if not askers or not authors:
            raise NetworkError("nobody to ask, or nobody to answer")
        if (body := authors[0]._serve(sha256, askers[0])) is None:
            raise NetworkError("not to be had there")
        return body

    async def join(self, addresses: Iterable[str], *, now: bool = False) -> set[str]:
        """See `PeerNetwork.join`."""
        return {peer for other in self._world.networks if other is not self for peer in other.hosted}

    async def seek(self, peers: Iterable[str]) -> set[str]:
        """See `PeerNetwork.seek`."""
        return set(peers) - await self.join(())

    async def read_back(self) -> None:
        """Nothing is lost here, and nobody cloned."""

    async def revive(self) -> list[str]:
        """See `PeerNetwork.revive`."""
        self.generation += bool(self.dead)
        self.dead.clear()
        return []

    async def addresses(self) -> list[str]:
        """See `PeerNetwork.addresses`."""
        return [f"/ip4/127.0.0.1/tcp/1/p2p/{peer}" for peer in self.hosted]

    async def known_addresses(self) -> list[str]:
        """See `PeerNetwork.known_addresses`."""
        return []
