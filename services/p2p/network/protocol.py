"""What the service asks of the network. `node.py` is the real one, `memory.py` its double."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from services.p2p.network.identities import Identity
from services.p2p.network.sightings import Sightings
from services.p2p.wire.buckets import Place

Serve = Callable[[str, str], bytes | None]
"""(sha256 of a body in hex, who asks) -> the body, None if it is not to be had."""


class NetworkError(Exception):
    """A peer, or this household's own p2pd, does not answer. Nothing is wrong with the rest."""


class PeerNetwork(Protocol):
    """The hosted peers' place in the swarm."""

    hosted: tuple[str, ...]  # peer ids
    sightings: Sightings  # whose announcements came by
    generation: int  # grows whenever what was announced may have been lost: announce again

    async def host(self, identity: Identity) -> None:
        """Bring one more peer up and let it meet the others. Raises NetworkError; the peer is then not hosted."""

    def serve(self, serve: Serve) -> None:
        """From now on answer other peers' requests for bodies with this."""

    async def announce(self, peer: str, place: Place, value: bytes, expiration: float) -> None:
        """Write a hosted peer's announcement into a bucket. Raises NetworkError."""

    async def announcements(self, place: Place) -> dict[str, bytes]:
        """What is found in a bucket: peer id -> value. Raises NetworkError."""

    def population(self) -> float:
        """About how many nodes the DHT has, ours included, by those that we know."""

    async def write_stock(self, peer: str, round_number: int, value: bytes, expiration: float) -> None:
        """Write a hosted peer's rollouts where stock nodes look for them. Raises NetworkError."""

    async def read_stock(self, round_number: int) -> dict[str, bytes]:
        """What can be found of stock nodes' rollouts of a round, unsigned: peer id -> value. Raises NetworkError."""

    async def fetch(self, peer: str, sha256: str) -> bytes:
        """A body from its author, asked by a hosted peer that is not the author. Raises NetworkError."""

    async def join(self, addresses: Iterable[str], *, now: bool = False) -> set[str]:
        """Meet those of these addresses that are not known yet; the peers of other households that are known now.

        An address that was silent is left alone for a while; with `now` it is not.
        """

    async def seek(self, peers: Iterable[str]) -> set[str]:
        """Meet these peers wherever they were last; those that cannot be found."""

    async def read_back(self) -> None:
        """Look at what the hosted peers announced last, as others find it: see `sightings`."""

    async def revive(self) -> list[str]:
        """Bring back hosted peers whose daemon died; what is wrong with those that could not be."""

    def alive(self) -> bool:
        """Whether every hosted peer can be reached."""

    async def addresses(self) -> list[str]:
        """Multiaddresses of the hosted peers."""

    async def known_addresses(self) -> list[str]:
        """Multiaddresses of connected peers of other households, to come back through later."""
