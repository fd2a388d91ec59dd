"""What strangers can send over the wire to a running service, on real p2pd processes."""

from __future__ import annotations

import asyncio
import signal
import time

import msgpack
import pytest
from hivemind.dht.routing import DHTID
from hivemind.p2p import PeerID
from hivemind.p2p.p2p_daemon_bindings.control import P2PHandlerError
from hivemind.proto import dht_pb2
from p2p_lab import Household, Stranger
from test_p2p_process import Service

from services.p2p.wire.announcement import sign
from services.p2p.wire.buckets import Place
from shared.household import PeerNote, peer_notes
from shared.messages import Round
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import EVENTS, ROUNDS
from tests.p2p_kit import SWARM, announcement_of, identity, rollouts_of, until

KEY = DHTID.generate(source=Place(1, 0).key(SWARM)).to_bytes()


async def store(eve: Stranger, peer: str, *records: tuple[bytes, bytes, float]) -> list[bool]:
    """Records as they are, (packed subkey or b"" for a dictionary, value, expiration), under the key of round 1."""
    request = dht_pb2.StoreRequest(keys=[KEY] * len(records), in_cache=[False] * len(records), peer=None)
    for subkey, value, expiration in records:
        request.subkeys.append(subkey)
        request.values.append(value)
        request.expiration_time.append(expiration)
    stub = eve.node.protocol.get_stub(PeerID.from_base58(peer))
    return list((await stub.rpc_store(request, timeout=10)).store_ok)


def nested(levels: int, code: int) -> bytes:
    inner = msgpack.packb([])
    for _ in range(levels):
        inner = msgpack.packb(msgpack.ExtType(code, b"\x91" + inner))
    return inner


async def test_extension_types_inside_of_each_other_end_no_process(tmp_path):
    """hivemind's own reader needs 40 KB of stack for each: 2 KB of message would be the end."""
    async with Household(tmp_path / "a", peers=2) as ours, await Stranger("eve").start(ours.addresses[0]) as eve:
        await ours.open_round()
        for code in (0x40, 0x50, 0x51):
            deep = nested(400, code)
            whole = msgpack.packb(msgpack.ExtType(0x50, msgpack.packb([None, 2e9, [[deep, deep, 2e9]]])))
            bad = [(b"", deep, 2e9), (b"", whole, 2e9), (deep, msgpack.packb(b"x"), 2e9)]
            assert await store(eve, ours.peers[0], *bad) == [False] * 3
        # The same as an answer: what eve holds is read with every look.
        eve.node.protocol.storage.store(DHTID.from_bytes(KEY), nested(400, 0x50), time.time() + 100)
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})
        await ours.open_round(2)
        await until(lambda: ours.queue._log(EVENTS).entries)
        assert (await ours.queue.last(EVENTS)).message.rejected["malformed"] >= 6


async def test_copies_of_a_record_and_crowds_of_keys_take_no_memory(tmp_path):
    async with Household(tmp_path / "a") as ours, await Stranger("eve").start(ours.addresses[0]) as eve:
        await ours.open_round()
        told = announcement_of(eve.identity, b"body")
        record = msgpack.packb(told.peer), msgpack.packb(sign(told, eve.identity)), told.expires
        assert await store(eve, ours.peers[0], record) == [True]
        for _ in range(20):
            assert await store(eve, ours.peers[0], *[record] * 200) == [False] * 200
        later = announcement_of(eve.identity, b"body", expires=told.expires + 2)
        newer = msgpack.packb(told.peer), msgpack.packb(sign(later, eve.identity)), later.expires
        assert await store(eve, ours.peers[0], newer, newer) == [True, False]
        with pytest.raises(P2PHandlerError):
            await store(eve, ours.peers[0], *[record] * 1_000)


async def test_what_strangers_store_is_gone_when_its_round_is_over(tmp_path):
    async with Household(tmp_path / "a") as ours, await Stranger("eve").start(ours.addresses[0]) as eve:
        for number in (1, 2, 30):
            await ours.open_round(number)
            await until(lambda number=number: ours.facts.get("round") == number)
            assert await eve.announce(b"body", number)
        assert not await eve.announce(b"body", 2)
        told = announcement_of(identity("eve"), b"body", 31)
        assert await eve.write(sign(told, eve.identity), number=31, expiration=told.expires)


async def test_a_peer_that_is_left_alone_stays_so_when_the_service_is_killed(tmp_path, redis_server):
    service, store = Service(tmp_path, redis_server, SWARM_NAME=SWARM), RedisStore(connect(redis_server.url))
    queue = RedisQueue(connect(redis_server.url))

    async def started() -> str:
        service.start()
        await until(service.facts, 30)
        return service.facts()["addresses"].split()[0]

    async def notes(eve: Stranger) -> PeerNote | None:
        return next((note for note in await peer_notes(store) if note.peer_id == eve.peer and note.quarantined), None)

    async with await Stranger("eve").start(await started()) as eve:
        now = time.time()
        await queue.publish(ROUNDS, Round(number=1, stage=0, opened_at=now, deadline=now + 300))
        for attempt in range(3):
            await eve.announce(b"rubbish %d" % attempt)
            await asyncio.sleep(1.5)
        while (before := await notes(eve)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        service.end(signal.SIGKILL)
        await store.take("peers:notes")
        await started()
        while (after := await notes(eve)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert (after.reason, after.accepted) == ("rubbish", 0)
        assert after.until == pytest.approx(before.until, abs=5)
        assert after.until > time.time() + 60
    service.end(signal.SIGTERM)
