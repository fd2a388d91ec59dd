"""One hosted peer in the DHT: hivemind's node, in the service's own loop, on a p2pd of its own.

With holding.py and lookup.py the only file that imports hivemind (and with it torch, 280 MB): imported after the
settings are known to be good.

    store  a local copy, and copies at the nodes nearest to the key      (DHT, about 1 KB; lookup.py)
    read   asks one of those, any; now and then many, and merges what they hold  (DHT)
    fetch  own p2pd --> author's p2pd --> its `answer`                   (libp2p, up to the body limit)

hivemind as it comes believes what it is told and may wait for ever. So: never its forked DHT, a limit on every call,
its caches off (they leak), its `get` replaced by `Node.read` (one odd record hangs it), and what strangers send goes
through holding.py and the gate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgpack
from google.protobuf.wrappers_pb2 import BytesValue
from hivemind.dht import DHTNode
from hivemind.dht.routing import DHTID
from hivemind.p2p import P2P, PeerID
from hivemind.p2p.p2p_daemon_bindings.control import P2PDaemonError, P2PHandlerError
from hivemind.utils.logging import use_hivemind_log_handler
from hivemind.utils.multiaddr import Multiaddr

from services.p2p.network.daemon import Daemon, Pids
from services.p2p.network.holding import Bounds, Validator, harden
from services.p2p.network.identities import Identity
from services.p2p.network.lookup import BEAM, Found, Lookup, merge
from services.p2p.network.population import population
from services.p2p.network.protocol import NetworkError
from services.p2p.trust.gate import Gate

use_hivemind_log_handler("nowhere")  # its lines go our way; by itself it prints in colour past our log
logging.getLogger("hivemind").setLevel(logging.ERROR)
# A search of hivemind's whose time runs out leaves tasks that wait for nothing any more; asyncio calls that an error.
LEFT = ("Task was destroyed but it is pending!", "coro=<Event.wait()")
logging.getLogger("asyncio").addFilter(lambda record: not all(part in record.getMessage() for part in LEFT))
log = logging.getLogger(__name__)

T = TypeVar("T")
Answer = Callable[[str, str], bytes | None]  # (sha256, who asks) -> packed body
BODY = "rlswarm.body.v1"  # name of the libp2p call: sha256 -> packed body
CALL_S = 5.0  # longest wait for our own p2pd or for one peer
MEET_S = 15.0  # longest wait for a connection: some eight ways there and back
ANSWER_S = 1.7  # longest silence of our own p2pd that is no sign of its death
STORE_S = 10.0
FAILURES = (
    P2PDaemonError,
    P2PHandlerError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
    ValueError,
    AssertionError,  # hivemind's search, when what it asks fails in a way that it does not expect
)


async def _limited(call: Awaitable[T], seconds: float = 0.0) -> T:
    """The answer of a hivemind call; NetworkError if there is none in time."""
    try:
        return await asyncio.wait_for(call, seconds or CALL_S)
    except FAILURES as error:
        raise NetworkError(f"{type(error).__name__}: {error}".rstrip(": ")) from error


class Node:
    """One hosted peer in the DHT, from `start` until its p2pd ends: a new one then takes its place."""

    def __init__(self, identity: Identity, daemon: Daemon, p2p: Any, dht: Any, gate: Gate, answer: Answer) -> None:
        self.identity, self.daemon, self._gate = identity, daemon, gate
        self._p2p, self._dht, self._answer = p2p, dht, answer
        self._lookup = Lookup(dht)
        self._wire = _guarded(p2p._client.control)

    @classmethod
    async def start(
        cls,
        identity: Identity,
        listen: str,
        announce: str | None,
        gate: Gate,
        pids: Pids,
        answer: Answer,
        reach: Sequence[str] = (),
    ) -> Node:
        """Bring a peer up, alone; `listen` and `announce` are multiaddresses. Raises NetworkError."""
        daemon = await Daemon.start(identity, listen, announce, pids, reach)
        try:
            p2p = await _limited(P2P.replicate(Multiaddr(daemon.control)))
            node = cls(identity, daemon, p2p, await _limited(_dht_node(p2p, identity, gate)), gate, answer)
            await _limited(p2p.add_protobuf_handler(BODY, node._serve, BytesValue))
        except BaseException:  # cancelled too: nobody else knows of this process yet
            await daemon.stop(at_once=True)
            raise
        return node

    @property
    def alive(self) -> bool:
        """Whether its p2pd runs and our connection to it is open."""
        return self.daemon.alive and not any(task.done() for task in self._wire)

    async def stop(self, *, at_once: bool = False) -> None:
        """Leave the swarm. hivemind's own shutdown of the node would wait for ever for a dead p2pd."""
        self._dht.is_alive = False
        with contextlib.suppress(NetworkError):
            await _limited(self._p2p.shutdown())
        await self.daemon.stop(at_once=at_once)

    async def _serve(self, request: BytesValue, context: Any) -> BytesValue:
        packed = self._answer(request.value.hex(), context.remote_id.to_base58())
        if packed is None:
            raise LookupError("not to be had here")
        return BytesValue(value=packed)

    async def responds(self) -> bool:
        """Whether the p2pd answers."""
        try:
            await _limited(self._p2p._client.identify(), ANSWER_S)
        except NetworkError:
            return False
        return True

    def neighbours(self) -> set[str]:
        """Peer ids in the routing table."""
        return {peer.to_base58() for peer in self._dht.protocol.routing_table.peer_id_to_uid}

    async def addresses(self) -> list[str]:
        """Multiaddresses under which this peer can be met."""
        return [str(address) for address in await _limited(self._p2p.get_visible_maddrs(latest=True))]

    async def connections(self) -> dict[str, list[str]]:
        """Peer id -> multiaddresses of those it is connected with."""
        found = await _limited(self._p2p.list_peers())
        return {
            peer.peer_id.to_base58(): [f"{address}/p2p/{peer.peer_id.to_base58()}" for address in peer.addrs]
            for peer in found
        }

    async def meet(self, address: str) -> None:
        """Get to know the peer at this address, or, by `/p2p/<peer id>` alone, wherever it is. Raises NetworkError."""
        where, _, who = address.rpartition("/p2p/")
        try:
            peer, places = PeerID.from_base58(who), [Multiaddr(where)] if where else []
        except FAILURES as error:
            raise NetworkError(f"{address} is no address") from error
        await _limited(self._p2p._client.connect(peer, places), MEET_S)
        if await _limited(self._dht.protocol.call_ping(peer)) is None:
            raise NetworkError("connected, but it is not in the DHT")

    async def look_around(self) -> None:
        """Find the nodes near our own place, and ask a few neighbours whether they still live."""
        if neighbours := list(self._dht.protocol.routing_table.peer_id_to_uid):
            asked = random.sample(neighbours, min(3, len(neighbours)))
            await asyncio.gather(*(_limited(self._dht.protocol.call_ping(peer)) for peer in asked))
        await _limited(self._dht.find_nearest_nodes([self._dht.node_id]))

    async def store(self, key: str, value: bytes, expiration: float) -> None:
        """Keep a copy here, and bring others to the nodes nearest to the key."""
        peer, key_id = self.identity.peer_id, DHTID.generate(source=key)
        self._gate.admit(key_id.to_bytes(), peer, value, expiration)  # so that our own copy is kept, too
        self._dht.protocol.storage.store(key_id, msgpack.packb(value), expiration, subkey=peer)
        await _limited(self._lookup.bring(key_id, msgpack.packb(value), expiration, peer), STORE_S)
        if not self.alive:  # the answers say nothing: a holder may lie
            raise NetworkError("p2pd died")

    async def read(self, key: str, beam: int = BEAM, *, quick: bool = True) -> dict[str, bytes]:
        """The records under a key that this node and the `beam` nodes nearest to it hold; the later one of two.

        `quick`: mostly one of these nodes will do.
        """
        key_id = DHTID.generate(source=key)
        found: Found = {}
        merge(found, self._dht.protocol.storage.get(key_id))
        with contextlib.suppress(NetworkError):  # out of time: what came until now is good
            if not quick or not await _limited(self._lookup.ask_one(key_id, found)):
                await _limited(self._lookup.search(key_id, found, beam))
        return {peer: value for peer, (_, value) in found.items()}

    def population(self) -> float:
        """About how many nodes the DHT has, by those that this one knows."""
        return population(int(self._dht.node_id), self._dht.protocol.routing_table.uid_to_peer_id)

    async def fetch(self, peer: str, sha256: str, timeout_s: float) -> bytes:
        """A body from its author, packed."""
        request = BytesValue(value=bytes.fromhex(sha256))
        call = self._p2p.call_protobuf_handler(PeerID.from_base58(peer), BODY, request, BytesValue)
        return bytes((await _limited(call, timeout_s)).value)


class _Calls(dict[Any, "asyncio.Future[Any]"]):
    """hivemind's open calls, without those that nobody waits for any more.

    An answer to a call whose time had run out in that very moment would end hivemind's reader, and with it all calls.
    """

    def __contains__(self, call: object) -> bool:
        return super().__contains__(call) and not self[call].done()


def _guarded(control: Any) -> tuple[asyncio.Task[None], asyncio.Task[None]]:
    """The two tasks that are our connection to p2pd. When one ends, open calls fail instead of waiting."""
    calls = control._pending_calls = _Calls(control._pending_calls)

    def end(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("the connection to p2pd broke: %r", error)
        for call in list(calls.values()):
            if not call.done():
                call.set_exception(P2PDaemonError("the connection to p2pd is gone"))

    wire = (control._read_task, control._write_task)
    for task in wire:
        task.add_done_callback(end)
    return wire


async def _dht_node(p2p: Any, identity: Identity, gate: Gate) -> Any:
    """hivemind's node without its caches, behind the gate."""
    dht = await DHTNode.create(
        p2p=p2p,
        node_id=DHTID.generate(source=identity.peer_id),  # the same after a restart
        record_validator=Validator(gate),
        authorizer=Bounds(gate),
        wait_timeout=CALL_S,  # hivemind's three seconds are too short for a line of half a second each way
        cache_locally=False,
        cache_nearest=0,
        cache_on_store=False,
        cache_refresh_before_expiry=0,
        reuse_get_requests=False,
        blacklist_time=2.0,
        backoff_rate=1.5,
    )
    harden(dht, gate)
    return dht
