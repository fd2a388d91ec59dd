"""`PeerNetwork`: the same facts about the real one, on p2pd processes, and about its double in memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgpack
import pytest
from hivemind.dht.routing import DHTID
from hivemind.p2p import P2P, PeerID
from p2p_lab import Stranger

from services.p2p.network.daemon import Daemon, Pids, free_port
from services.p2p.network.hosted import HostedPeers
from services.p2p.network.identities import load_or_create
from services.p2p.network.memory import MemoryNetwork, World
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.trust.gate import Gate
from services.p2p.wire.announcement import Announcement, place_id, sign
from services.p2p.wire.buckets import Place, places_of
from tests.p2p_kit import SWARM, announcement_of, identity, settings_of, until

NAMES = (("a0", "a1"), ("b0",))


@pytest.fixture(params=["memory", "real"])
async def two(request, tmp_path) -> AsyncIterator[tuple[PeerNetwork, PeerNetwork]]:
    """Two households, of two peers and of one, that have met."""
    world, networks = World(), []
    for names in NAMES:
        gate, members = Gate(SWARM, time.time), [identity(name) for name in names]
        if request.param == "memory":
            networks.append(MemoryNetwork(world, SWARM, [one.peer_id for one in members], gate))
        else:
            networks.append(HostedPeers(settings_of(tmp_path / names[0], peers=len(names)), members, gate))
        await networks[-1].start()
    ours, theirs = networks
    await theirs.join(await ours.addresses())
    yield ours, theirs
    for network in networks:
        await network.stop()


async def announce(network: PeerNetwork, name: str, body: bytes = b"body", **changes) -> Announcement:
    told = announcement_of(identity(name), body, **changes)
    for place in places_of(SWARM, told.round, told.stage, told.peer, told.level):
        await network.announce(told.peer, place, sign(told, identity(name)), told.expires)
    return told


async def fetched(network: PeerNetwork, author: str, digest: str) -> bytes:
    """A body; asked for again, as the inbox does, while libp2p sorts out that both sides have dialled at once."""
    for _ in range(10):
        with contextlib.suppress(NetworkError):
            return await network.fetch(author, digest)
        await asyncio.sleep(0.5)
    return await network.fetch(author, digest)


async def test_what_one_announces_the_other_finds_under_its_round_only(two):
    ours, theirs = two
    told = await announce(ours, "a0")
    assert await theirs.announcements(Place(1, 0)) == {told.peer: sign(told, identity("a0"))}
    assert set(await ours.announcements(Place(1, 0))) == {told.peer}
    assert await theirs.announcements(Place(2, 0)) == await theirs.announcements(Place(1, 1)) == {}


async def test_a_later_announcement_of_a_peer_replaces_its_earlier_one(two):
    ours, theirs = two
    await announce(ours, "a0", b"first")
    told = await announce(ours, "a0", b"second", expires=time.time() + 200)
    assert await theirs.announcements(Place(1, 0)) == {told.peer: sign(told, identity("a0"))}


async def test_a_body_is_fetched_from_its_author_by_another_peer(two):
    ours, theirs = two
    asked = []
    ours.serve(lambda digest, remote: asked.append((digest, remote)) or b"the body")
    author = identity("a0").peer_id
    assert await fetched(theirs, author, "ab" * 32) == b"the body"
    assert await fetched(ours, author, "cd" * 32) == b"the body"  # by its sibling
    assert asked == [("ab" * 32, identity("b0").peer_id), ("cd" * 32, identity("a1").peer_id)]


async def test_a_body_of_a_megabyte_arrives(two):
    ours, theirs = two
    ours.serve(lambda digest, remote: b"x" * 2**20)
    assert len(await fetched(theirs, identity("a1").peer_id, "ab" * 32)) == 2**20


async def test_what_is_not_to_be_had_is_a_network_error(two):
    ours, theirs = two
    ours.serve(lambda digest, remote: None)
    for network, author in ((theirs, "a0"), (theirs, "b0"), (theirs, "nobody")):
        with pytest.raises(NetworkError):
            await network.fetch(identity(author).peer_id, "ab" * 32)


async def test_each_knows_the_others_and_not_itself(two):
    ours, theirs = two
    assert await theirs.join(()) == {identity(name).peer_id for name in NAMES[0]}
    assert await ours.join(()) == {identity("b0").peer_id}
    assert ours.alive()
    assert await ours.revive() == []


async def test_a_stranger_knows_dht_keys_as_we_compute_them():
    key = Place(7, 1).key(SWARM)
    assert DHTID.generate(source=key).to_bytes() == place_id(key)


async def test_our_identities_are_hiveminds(tmp_path):
    ours = load_or_create(tmp_path / "ours.pem")
    assert PeerID.from_identity(ours.path.read_bytes()).to_base58() == ours.peer_id
    P2P.generate_identity(str(tmp_path / "theirs.pem"))
    theirs = (tmp_path / "theirs.pem").read_bytes()
    assert load_or_create(tmp_path / "theirs.pem").peer_id == PeerID.from_identity(theirs).to_base58()


async def test_a_daemon_that_cannot_start_says_why(tmp_path):
    pids = Pids(tmp_path / "daemons.json")
    with pytest.raises(NetworkError, match="p2pd does not start"):
        await Daemon.start(identity("a0"), "/ip4/127.0.0.1/rubbish", None, pids)
    taken = free_port("127.0.0.1", 0)
    with socket.socket() as other:
        other.bind(("127.0.0.1", taken))
        other.listen()
        with pytest.raises(NetworkError, match=f"port {taken}"):
            free_port("127.0.0.1", taken)


async def test_what_a_killed_run_left_is_killed_and_nobody_else(tmp_path):
    pids = Pids(tmp_path / "p2p" / "daemons.json")
    left = await Daemon.start(identity("a0"), "/ip4/127.0.0.1/tcp/0", None, pids)
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
    pids._known[str(bystander.pid)] = ("123", str(tmp_path / "no socket"))  # a pid that went to another process since
    (tmp_path / "no socket").touch()
    pids._write()
    assert left.socket.is_socket()
    other = await Daemon.start(identity("a1"), "/ip4/127.0.0.1/tcp/0", None, Pids(tmp_path / "other.json"))
    assert Pids(tmp_path / "p2p" / "daemons.json").kill_leftovers() == 1
    await until(lambda: not left.alive)
    assert not left.socket.exists()
    assert other.alive and other.socket.is_socket()
    assert bystander.returncode is None
    assert (tmp_path / "no socket").exists()
    await other.stop()
    bystander.kill()
    await bystander.wait()
    await left.stop()
    assert Pids(tmp_path / "p2p" / "daemons.json").kill_leftovers() == 0


async def test_a_daemon_dies_with_its_parent(tmp_path):
    program = f"""
import asyncio
from pathlib import Path
from services.p2p.network.daemon import Daemon, Pids
from services.p2p.network.identities import load_or_create
async def main():
    one = load_or_create(Path({str(identity("a0").path)!r}))
    daemon = await Daemon.start(one, "/ip4/127.0.0.1/tcp/0", None, Pids(Path({str(tmp_path)!r}) / "daemons.json"))
    print(daemon.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    pid = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return " Z " in Path(f"/proc/{pid}/stat").read_text()

    await until(gone, 5)


async def test_bad_records_in_a_holders_answer_cost_only_themselves(tmp_path):
    ours = HostedPeers(settings_of(tmp_path), [identity("a0")], Gate(SWARM, time.time))
    await ours.start()
    async with await Stranger("eve").start() as eve:
        key = DHTID.generate(source=Place(1, 0).key(SWARM))
        for subkey in (1, "x", b"y", ("t",), None):
            eve.node.protocol.storage.store_subkey(key, subkey, b"\xc1", time.time() + 100)
        good = announcement_of(identity("bob"), b"body")
        await eve.write(sign(good, identity("bob")), subkey=good.peer, expiration=good.expires)
        await ours.join([eve.address])
        assert set(await ours.announcements(Place(1, 0))) == {good.peer}
        # The holder now lies about a record that we hold too, and about the size of its dictionary.
        held = eve.node.protocol.storage.get(key).value
        held.store(good.peer, msgpack.packb(b"rubbish"), time.time() + 1_000)
        held.maxsize = "many"
        await announce(ours, "a0")
        assert set(await ours.announcements(Place(1, 0))) >= {identity("a0").peer_id}
    await ours.stop()


async def test_siblings_know_each_other_at_once_whenever_they_are_started(tmp_path):
    """Two p2pds that dial each other in the same moment both fail; one start in fifteen was like that."""
    members = [identity("a0"), identity("a1")]
    for attempt in range(15):
        network = HostedPeers(settings_of(tmp_path / str(attempt), peers=2), members, Gate(SWARM, time.time))
        network.serve(lambda digest, remote: b"body")
        try:
            await network.start()
            bodies = await asyncio.gather(*(network.fetch(peer, "ab" * 32) for peer in network.hosted))
        finally:
            await network.stop()
        assert bodies == [b"body", b"body"]
