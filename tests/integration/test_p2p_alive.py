"""Staying in the swarm, on real p2pd processes: what dies or hangs comes back, who is alone finds the others."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from hivemind.proto.p2pd_pb2 import CallUnaryRequest, PersistentConnectionRequest
from p2p_lab import Household, Stranger

from services.p2p.network.daemon import Pids
from services.p2p.network.identities import held
from services.p2p.network.node import BODY, Node
from services.p2p.trust.gate import Gate
from shared.errors import SwarmError
from shared.messages import Recorded, Reward
from shared.streams import HISTORY, ROLLOUTS_LOCAL
from tests.p2p_kit import SWARM, identity, rollouts_of, until


@pytest.fixture
def often(monkeypatch):
    """The swarm as a whole is looked at every three seconds, not every thirty."""
    monkeypatch.setattr("services.p2p.network.membership.UNITE_EVERY", 3)


async def lone_node(folder: Path, name: str) -> Node:
    gate = Gate(SWARM, time.time)
    pids = Pids(folder / f"{name}.json")
    return await Node.start(identity(name), "/ip4/127.0.0.1/tcp/0", None, gate, pids, lambda digest, who: b"body")


async def test_an_answer_to_a_call_whose_time_ran_out_in_that_moment_ends_no_other_call(tmp_path):
    ours, theirs = await lone_node(tmp_path, "a0"), await lone_node(tmp_path, "b0")
    await ours.meet((await theirs.addresses())[0])
    control, call, given_up = ours._p2p._client.control, uuid4(), asyncio.Future()
    given_up.cancel()  # and who waited has not woken up yet
    control._pending_calls[call] = given_up
    asked = CallUnaryRequest(peer=theirs._p2p.peer_id.to_bytes(), proto=BODY, data=b"")
    await control._pending_messages.put(PersistentConnectionRequest(callId=call.bytes, callUnary=asked))
    await asyncio.sleep(0.3)
    assert await ours.fetch(identity("b0").peer_id, "ab" * 32, 3) == b"body"
    assert ours.alive
    await asyncio.gather(ours.stop(), theirs.stop())


async def test_calls_to_a_daemon_that_is_killed_fail_at_once(tmp_path):
    ours, theirs = await lone_node(tmp_path, "a0"), await lone_node(tmp_path, "b0")
    await ours.meet((await theirs.addresses())[0])
    os.kill(ours.daemon.process.pid, signal.SIGSTOP)
    await until(lambda: psutil.Process(ours.daemon.process.pid).status() == psutil.STATUS_STOPPED)
    call = asyncio.create_task(ours.fetch(identity("b0").peer_id, "ab" * 32, 30))
    await asyncio.sleep(0.2)
    os.kill(ours.daemon.process.pid, signal.SIGKILL)
    await asyncio.wait([call], timeout=2)
    assert "NetworkError" in repr(call.exception())
    assert not ours.alive
    await asyncio.gather(ours.stop(at_once=True), theirs.stop())


async def test_a_daemon_whose_socket_is_gone_is_replaced(tmp_path):
    async with Household(tmp_path / "a") as ours:
        (before,), addresses = ours.daemons(), ours.addresses
        (control,) = (Path(at) for at in ours.sockets())
        control.unlink()
        gone = time.monotonic()
        await until(lambda: ours.daemons() and ours.daemons() != [before], 10)
        assert time.monotonic() - gone < 10
        await until(lambda: ours.degraded == {} and ours.addresses == addresses)


async def test_rollouts_handed_over_while_p2pd_hangs_and_dies_are_announced_by_the_next(tmp_path):
    async with (
        Household(tmp_path / "a") as ours,
        Household(tmp_path / "b", initial_peers=ours.addresses) as theirs,
    ):
        await until(lambda: ours.facts["connected"] == 1)
        await ours.open_round()
        await theirs.open_round()
        (daemon,) = ours.daemons()
        os.kill(daemon, signal.SIGSTOP)
        await ours.sample(rollouts_of(ours.peers[0]))
        await asyncio.sleep(1.0)  # it is in the middle of the announcement
        os.kill(daemon, signal.SIGKILL)
        await theirs.wait_for({*ours.peers}, seconds=20)
        for _ in range(100):
            if await ours.queue.backlog(ROLLOUTS_LOCAL) == 0:
                break
            await asyncio.sleep(0.1)
        assert (await ours.queue.backlog(ROLLOUTS_LOCAL), await ours.queue.dead(ROLLOUTS_LOCAL)) == (0, [])


async def test_rollouts_are_announced_however_long_p2pd_cannot_be_started(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.queue.memory.MAX_ATTEMPTS", 1)  # given up at once by the queue; not by the service
    async with (
        Household(tmp_path / "a") as ours,
        Household(tmp_path / "b", initial_peers=ours.addresses) as theirs,
    ):
        await until(lambda: ours.facts["connected"] == 1)
        await ours.open_round()
        await theirs.open_round()
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            (daemon,), port = ours.daemons(), int(ours.addresses[0].split("/")[4])
            os.kill(daemon, signal.SIGKILL)
            await until(lambda: took(thief, port), 1)
            await until(lambda: "daemon" in ours.degraded)
            assert f"port {port}" in ours.degraded["daemon"]
            await ours.sample(rollouts_of(ours.peers[0]))
            await asyncio.sleep(1.5)
        await theirs.wait_for({*ours.peers}, seconds=20)
        assert ours.degraded == {}


def took(thief: socket.socket, port: int) -> bool:
    try:
        thief.bind(("127.0.0.1", port))
    except OSError:
        return False
    thief.listen()
    return True


def test_an_identity_is_held_by_one(tmp_path):
    path = identity("a0").path
    with held(path), pytest.raises(SwarmError, match="IDENTITY_PATH"), held(path):
        pass
    with held(path):
        pass


async def test_a_cloned_identity_is_told(tmp_path, often, monkeypatch):
    monkeypatch.setattr("services.p2p.network.sightings.SKEW_S", -120.0)  # both began a moment ago
    (tmp_path / "b" / "identities").mkdir(parents=True)
    (tmp_path / "b" / "identities" / "peer-0.pem").write_bytes(identity("a-0").path.read_bytes())
    async with (
        Household(tmp_path / "c") as others,
        Household(tmp_path / "a", initial_peers=others.addresses) as ours,
        Household(tmp_path / "b", initial_peers=others.addresses) as clone,
    ):
        assert ours.peers == clone.peers
        for household in (others, ours, clone):
            await household.open_round()
        for text in ("1", "2", "3"):
            await ours.sample(rollouts_of(ours.peers[0], text=text))
            await asyncio.sleep(0.3)
            await clone.sample(rollouts_of(ours.peers[0], text=text + "0"))
            await asyncio.sleep(0.3)
        await until(lambda: "clone" in ours.degraded or "clone" in clone.degraded, 15)
        told = ours.degraded.get("clone") or clone.degraded["clone"]
        assert ours.peers[0] in told
        assert "clone" not in others.degraded


def rewarded(peer: str, number: int) -> Recorded:
    reward = Reward(peer_id=peer, round=number, stage=0, points=1)
    return Recorded(submission=reward, account=f"0x{'1' * 40}", transaction=f"0x{'2' * 64}", block=number)


async def test_a_swarm_in_two_is_told_and_becomes_one(tmp_path, often):
    async with Household(tmp_path / "a") as ours, Household(tmp_path / "b") as theirs:
        await ours.open_round(0)
        for number in range(1, 20):
            await asyncio.sleep(1.0)
            await ours.open_round(number)
            await ours.queue.publish(HISTORY, rewarded(theirs.peers[0], number))
            if "split" in ours.degraded:
                break
        assert "1 of 1 peers" in ours.degraded["split"]
        async with Household(tmp_path / "c", initial_peers=[*ours.addresses, *theirs.addresses]):
            await until(lambda: "split" not in ours.degraded, 20)


async def test_who_finds_no_entry_point_works_alone_and_joins_when_one_appears(tmp_path):
    entry = await Stranger("entry").start()
    await entry.die()
    nobody = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{identity('nobody').peer_id}" for port in range(1, 32)]
    async with Household(tmp_path / "a", peers=2, initial_peers=[*nobody, entry.address]) as ours:
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})
        await until(lambda: "peers" in ours.degraded)
        async with await Stranger("entry", entry.port).start() as again:
            await until(lambda: ours.degraded == {}, 30)
            assert ours.facts["connected"] == 1
            assert ours.facts["linked"] == 0  # a connection is no link
            await again.sample()
            await ours.wait_for({again.peer})
            await until(lambda: ours.facts["linked"] == 1)


async def test_the_others_go_on_when_the_only_entry_point_dies(tmp_path):
    entry = await Stranger("entry").start()
    async with AsyncExitStack() as stack:
        four = [
            await stack.enter_async_context(Household(tmp_path / name, initial_peers=[entry.address]))
            for name in ("a", "b", "c", "d")
        ]
        everybody = {peer for one in four for peer in one.peers}
        await until(lambda: all(one.facts["connected"] == 4 for one in four), 20)
        await entry.die()
        for number in (1, 2):
            for one in four:
                await one.open_round(number)
                await one.sample(rollouts_of(one.peers[0], number))
            for one in four:
                await one.wait_for(everybody - {*one.peers}, number, 20)
