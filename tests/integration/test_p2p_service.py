"""The service on real p2pd processes: rollouts flow, and flow again after everything that can happen to it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from p2p_lab import Household, Stranger

from services.p2p.wire.announcement import sign
from services.p2p.wire.validation import body_of
from shared.household import LEASE, ServiceState, hosted_peers, put_service_state, wish_for_peer
from shared.streams import EVENTS, ROLLOUTS_LOCAL
from tests.p2p_kit import announcement_of, identity, rollouts_of, until


async def test_three_peers_and_a_stranger_exchange_rollouts(tmp_path):
    async with Household(tmp_path / "a", peers=3) as ours, await Stranger("eve").start(ours.addresses[0]) as eve:
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer, size=15_000) for peer in ours.peers))
        await eve.sample()
        await ours.wait_for({*ours.peers, eve.peer})
        assert await ours.queue.backlog(ROLLOUTS_LOCAL) == 0
        await asyncio.sleep(1.2)
        assert eve.calls == 1  # once for the household, whose three peers are told together


async def test_two_households_meet_through_an_address(tmp_path):
    async with (
        Household(tmp_path / "a", peers=2) as ours,
        Household(tmp_path / "b", initial_peers=ours.addresses[:1]) as theirs,
    ):
        for household in (ours, theirs):
            await household.open_round()
            await household.sample(*(rollouts_of(peer) for peer in household.peers))
        await ours.wait_for({*ours.peers, *theirs.peers})
        await theirs.wait_for({*ours.peers})
        assert theirs.peers[0] not in await theirs.arrived()


async def test_who_joins_late_gets_what_was_announced_before(tmp_path):
    async with Household(tmp_path / "a", peers=2) as ours:
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})
        async with Household(tmp_path / "b", initial_peers=ours.addresses[1:]) as theirs:
            await theirs.open_round()
            await theirs.wait_for({*ours.peers})


async def test_a_killed_daemon_comes_back_as_the_same_peer_and_rollouts_flow_again(tmp_path):
    async with Household(tmp_path / "a", peers=3) as ours, await Stranger("eve").start(ours.addresses[0]) as eve:
        before = set(ours.addresses)
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers[:1]))
        await ours.wait_for({ours.peers[0]})
        daemons = ours.daemons()
        os.kill(daemons[0], signal.SIGKILL)
        await until(lambda: len(ours.daemons()) == 3 and daemons[0] not in ours.daemons())
        await ours.open_round(2)
        await ours.sample(*(rollouts_of(peer, 2) for peer in ours.peers))
        await eve.sample(2)
        await ours.wait_for({*ours.peers, eve.peer}, 2)
        assert set(ours.addresses) == before


async def test_a_daemon_that_hangs_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.network.node.ANSWER_S", 0.5)
    monkeypatch.setattr("services.p2p.network.hosted.SILENCES", 1)
    async with Household(tmp_path / "a", peers=2) as ours:
        daemons = ours.daemons()
        os.kill(daemons[1], signal.SIGSTOP)
        await until(lambda: len(ours.daemons()) == 2 and daemons[1] not in ours.daemons(), 15)
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})


async def test_the_entry_point_dies_is_told_and_comes_back(tmp_path):
    entry = await Stranger("entry").start()
    async with Household(tmp_path / "a", peers=2, initial_peers=[entry.address]) as ours:
        await until(lambda: ours.facts["connected"] == 1)
        await entry.die()
        await until(lambda: "peers" in ours.degraded, 12)
        assert entry.address in ours.degraded["peers"]
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})  # among ourselves it goes on
        async with await Stranger("entry", entry.port).start() as again:
            await until(lambda: ours.degraded == {}, 15)
            await again.sample()
            await ours.wait_for({again.peer})


async def test_a_restarted_service_announces_the_open_round_again(tmp_path):
    ours = await Household(tmp_path / "a", peers=2).start()
    await ours.open_round()
    await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
    await ours.wait_for({*ours.peers})
    await ours.restart()  # the only holders of the announcements are gone with it
    async with Household(tmp_path / "b", initial_peers=ours.addresses) as theirs:
        await theirs.open_round()
        await theirs.wait_for({*ours.peers})
    await ours.stop()


async def test_the_way_back_is_known_without_any_entry_point(tmp_path):
    async with Household(tmp_path / "a") as ours:
        theirs = await Household(tmp_path / "b", initial_peers=ours.addresses).start()
        await until(lambda: theirs.facts["connected"] == 1)
        await until((tmp_path / "b" / "p2p" / "peers.json").exists)
        theirs.settings = theirs.settings.model_copy(update={"initial_peers": ()})
        await theirs.restart()
        await until(lambda: theirs.facts["connected"] == 1)
        await theirs.stop()


async def test_no_process_stays_when_the_service_ends(tmp_path):
    ours = await Household(tmp_path / "a", peers=2).start()
    daemons = ours.daemons()
    await ours.stop()
    for pid in daemons:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        raise AssertionError(f"p2pd {pid} still runs")


async def bad_records(eve: Stranger, victim: str) -> None:
    """Records that no gate may admit, each for another reason."""
    good = announcement_of(eve.identity, b"body")
    signed = sign(good, eve.identity)
    await eve.write(signed + b"x" * 4_000)  # too_large
    await eve.write(b"rubbish")  # malformed
    await eve.write([1, 2, 3], subkey=7)  # malformed, and no peer id
    await eve.write("a plain value that would brick the key", subkey="")  # malformed
    await eve.announce(b"x", v=1, swarm="other")  # wrong_swarm
    elsewhere = announcement_of(eve.identity, b"body", number=9)
    await eve.write(sign(elsewhere, eve.identity), expiration=elsewhere.expires)  # wrong_place
    await eve.write(signed, subkey=victim, expiration=good.expires)  # wrong_peer
    forged = announcement_of(eve.identity, b"body", peer=victim)
    await eve.write(sign(forged, eve.identity), subkey=victim, expiration=forged.expires)  # wrong_key
    mixed = sign(announcement_of(eve.identity, b"other"), eve.identity)
    await eve.write(mixed[:-256] + signed[-256:])  # bad_signature
    past = announcement_of(eve.identity, b"body", expires=time.time() - 5)
    await eve.write(sign(past, eve.identity))  # expired
    far = announcement_of(eve.identity, b"body", expires=time.time() + 10_000)
    await eve.write(sign(far, eve.identity), expiration=far.expires)  # far_expiration
    await eve.write(signed, expiration=good.expires + 30)  # wrong_expiration
    text = sign(good.model_copy(update={"v": 2}), eve.identity)
    await eve.write(text)  # wrong_version


async def test_rubbish_is_counted_by_reason_and_the_good_ones_still_arrive(tmp_path):
    async with Household(tmp_path / "a", peers=2) as ours:
        eve = await Stranger("eve").start(ours.addresses[0])
        bob = await Stranger("bob").start(ours.addresses[1])
        await ours.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await bad_records(eve, ours.peers[0])
        await bob.sample()
        await ours.wait_for({*ours.peers, bob.peer})
        await asyncio.sleep(1.0)
        await ours.open_round(2)
        await until(lambda: ours.queue._log(EVENTS).entries)
        rejected = (await ours.queue.last(EVENTS)).message.rejected
        await asyncio.gather(eve.die(), bob.die())
    assert set(rejected) >= {
        "too_large",
        "malformed",
        "wrong_version",
        "wrong_swarm",
        "wrong_place",
        "wrong_peer",
        "wrong_key",
        "bad_signature",
        "expired",
        "far_expiration",
        "wrong_expiration",
    }, rejected


def bad_bodies(author: str, number: int) -> dict[str, tuple[bytes, dict]]:
    """Reason -> a body of round `number` that deserves it, and what its announcement says otherwise."""
    good = body_of(rollouts_of(author, number))
    many = b'{"text":"","finished":true},' * 64
    return {
        "wrong_hash": (good, {"sha256": "ab" * 32}),
        "malformed": (b"[" * 50_000, {}),
        "wrong_peer": (body_of(rollouts_of(identity("ann").peer_id, number)), {}),
        "wrong_round": (body_of(rollouts_of(author, 99)), {}),
        "wrong_stage": (body_of(rollouts_of(author, number, stage=3)), {}),
        "wrong_count": (good, {"groups": 7}),
        "too_many": (good.replace(b'"completions":[', b'"completions":[' + many), {}),
        "too_large": (b"x" * 200_000, {}),
        "unreachable": (b"", {"size": 5}),
    }


async def test_bad_bodies_are_counted_by_reason_and_the_good_ones_still_arrive(tmp_path):
    lenient = {"budget": 100, "half_life_s": 600}
    async with Household(tmp_path / "a", peers=2, body_limit=100_000, quarantine=lenient) as ours:
        eve = await Stranger("eve").start(ours.addresses[0])
        bob = await Stranger("bob").start(ours.addresses[1])
        reasons = list(bad_bodies(eve.peer, 0))
        for number, reason in enumerate(reasons):
            await ours.open_round(number)
            body, changes = bad_bodies(eve.peer, number)[reason]
            await eve.announce(body, number, **changes)
            if reason == "unreachable":
                eve.bodies.clear()
            await bob.sample(number)
            await ours.wait_for({bob.peer}, number)
            await asyncio.sleep(0.7)
        await ours.open_round(len(reasons))
        await until(lambda: len(ours.queue._log(EVENTS).entries) == len(reasons))
        events = [entry.message for entry in await ours.queue.read(EVENTS)]
        await asyncio.gather(eve.die(), bob.die())
    assert [event.rejected for event in events] == [{reason: 1} for reason in reasons]
    assert {event.accepted for event in events} == {1}


async def test_a_peer_hosted_on_demand_joins_exchanges_and_is_there_after_a_restart(tmp_path):
    ours = await Household(tmp_path / "a").start()
    before = ours.peers
    await ours.store.hold(LEASE + before[0], "one", ttl_s=60)
    state = {"service": "trainer", "instance": "one", "pid": 1, "port": 1, "status": "ok", "facts": {}, "degraded": {}}
    await put_service_state(ours.store, ServiceState(**state, at=time.time() + 60, progress_age_s=0))
    await wish_for_peer(ours.store, "two", time.time())
    await until(lambda: len(ours.peers) == 2, 15)
    await until(lambda: len(ours.addresses) == 2)
    assert (len(ours.daemons()), await hosted_peers(ours.store)) == (2, ours.peers)
    async with Household(tmp_path / "b", initial_peers=ours.addresses[1:]) as theirs:
        await ours.open_round()
        await theirs.open_round()
        await ours.sample(*(rollouts_of(peer) for peer in ours.peers))
        await ours.wait_for({*ours.peers})
        await theirs.wait_for({*ours.peers})
    peers = ours.peers
    await ours.restart()
    assert ours.peers == peers
    await ours.stop()
