"""The loops of the service on a network in memory: what goes out, what comes in, and what is done with the rest."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from services.p2p.exchange import exchange
from services.p2p.network.memory import MemoryNetwork, World
from services.p2p.network.protocol import NetworkError
from services.p2p.traffic.bodies import SERVINGS, Bodies
from services.p2p.trust.gate import Gate
from services.p2p.trust.tally import Tally
from services.p2p.wire.announcement import sign
from services.p2p.wire.packing import pack, unpack
from services.p2p.wire.validation import body_of
from shared.health import Health
from shared.household import (
    LEASE,
    Members,
    ServiceState,
    hosted_peers,
    peer_notes,
    put_bootnodes,
    put_members,
    put_service_state,
    wish_for_peer,
    withdraw_wish,
)
from shared.messages import Heard, Round, Trained
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS, SUBMISSIONS
from tests.examples import EXAMPLES
from tests.p2p_kit import SWARM, announcement_of, identity, rollouts_of, settings_of, until


class Household:
    """The loops, with `names` as its peers."""

    def __init__(self, world: World, folder: Path, *names: str, **changes) -> None:
        self.world, self.identities = world, [identity(name) for name in names]
        self.settings = settings_of(folder, **{"poll_s": 0.25, **changes})
        self.queue, self.store = MemoryQueue(), MemoryStore()

    async def __aenter__(self) -> Household:
        self.context = Context(self.queue, self.store, Health("p2p", "one", 60))
        gate = Gate(SWARM, time.time)
        self.network = MemoryNetwork(self.world, SWARM, [one.peer_id for one in self.identities], gate)
        self.task = asyncio.create_task(exchange(self.settings, self.context, self.network, self.identities, gate))
        await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_) -> None:
        self.context.stop.set()
        await asyncio.wait_for(self.task, 5)
        await self.network.stop()

    async def open_round(self, number: int = 1, *, seconds: float = 60.0, final: bool = False) -> None:
        now = time.time()
        await self.queue.publish(
            ROUNDS, Round(number=number, stage=0, opened_at=now, deadline=now + seconds, final=final)
        )

    async def sample(self, number: int = 1, **changes) -> None:
        for one in self.identities:
            await self.queue.publish(ROLLOUTS_LOCAL, rollouts_of(one.peer_id, number, **changes))

    def arrived(self) -> list[str]:
        return [entry.message.peer_id for entry in self.queue._after(ROLLOUTS_PEER, "0")]

    def events(self) -> list:
        return [entry.message for entry in self.queue._after(EVENTS, "0")]

    def write(self, name: str, body: bytes, number: int = 1, **changes) -> None:
        """A stranger's announcement, straight into the DHT."""
        told = announcement_of(identity(name), body, number, **changes)
        self.network.write(told.keys[0], told.peer, sign(told, identity(name)), told.expires)

    def stranger(self, name: str, *bodies: bytes) -> MemoryNetwork:
        """A peer that serves these bodies, whatever it is asked for."""
        return self.raw_stranger(name, *map(pack, bodies))

    def raw_stranger(self, name: str, *packed: bytes) -> MemoryNetwork:
        """The same, of what travels."""
        network = MemoryNetwork(self.world, SWARM, [identity(name).peer_id], Gate(SWARM, time.time))
        self.asked: list[str] = []

        def answer(digest: str, _remote: str) -> bytes:
            self.asked.append(digest)
            return packed[min(len(self.asked), len(packed)) - 1]

        network.serve(answer)
        return network


async def test_rollouts_reach_every_other_household_and_siblings_too(tmp_path):
    world = World()
    async with Household(world, tmp_path / "a", "a0", "a1") as ours, Household(world, tmp_path / "b", "b0") as theirs:
        for household in (ours, theirs):
            await household.open_round()
            await household.sample()
        everybody = {one.peer_id for one in (*ours.identities, *theirs.identities)}
        await until(lambda: set(ours.arrived()) == everybody)
        await until(lambda: set(theirs.arrived()) == everybody - {theirs.identities[0].peer_id})
        await asyncio.sleep(0.6)
        assert sorted(ours.arrived()) == sorted(everybody)  # each once
        assert await ours.queue.backlog(ROLLOUTS_LOCAL) == 0


async def test_the_household_and_the_chain_learn_who_is_hosted(tmp_path):
    async with Household(World(), tmp_path, "a0", "a1") as ours:
        peers = [one.peer_id for one in ours.identities]
        assert await hosted_peers(ours.store) == peers
        assert [one.message.peer_id for one in await ours.queue.receive(SUBMISSIONS, "x")] == peers
        assert ours.context.health.facts["peers"].split() == peers


async def test_a_round_is_reported_when_the_next_one_opens_and_the_last_one_at_its_deadline(tmp_path):
    async with Household(World(), tmp_path, "a0", "a1") as ours:
        await ours.open_round(1)
        await ours.sample(1)
        await until(lambda: len(ours.arrived()) == 2)
        await ours.open_round(2, seconds=0.6, final=True)
        await until(lambda: len(ours.events()) == 2)
        first, second = ours.events()
        assert (first.round, first.accepted, second.round, second.accepted) == (1, 2, 2, 0)
        assert first.bytes_sent == first.bytes_received > 0
        await asyncio.sleep(0.8)
        assert len(ours.events()) == 2


async def test_the_stages_of_a_round_are_one_report(tmp_path):
    async with Household(World(), tmp_path, "a0", "a1") as ours:
        now = time.time()
        for stage in (0, 1):
            await ours.queue.publish(ROUNDS, Round(number=1, stage=stage, opened_at=now, deadline=now + 60))
            for one in ours.identities:
                await ours.queue.publish(ROLLOUTS_LOCAL, rollouts_of(one.peer_id, stage=stage))
            await until(lambda stage=stage: len(ours.arrived()) == 2 * stage + 2)
        await ours.open_round(2)
        await until(ours.events)
        assert [(event.round, event.accepted) for event in ours.events()] == [(1, 4)]


async def test_rollouts_of_a_peer_that_is_not_ours_go_to_the_dead_letters(tmp_path):
    async with Household(World(), tmp_path, "a0") as ours:
        await ours.queue.publish(ROLLOUTS_LOCAL, rollouts_of(identity("eve").peer_id))
        await until(lambda: ours.queue._log(ROLLOUTS_LOCAL).dead)
        (dead,) = await ours.queue.dead(ROLLOUTS_LOCAL)
        assert "not hosted here" in dead.error


async def test_rollouts_too_large_for_the_swarm_go_to_the_dead_letters(tmp_path):
    async with Household(World(), tmp_path, "a0", body_limit=1_000) as ours:
        await ours.sample(size=2_000)
        await until(lambda: ours.queue._log(ROLLOUTS_LOCAL).dead)
        assert "sample less" in (await ours.queue.dead(ROLLOUTS_LOCAL))[0].error


async def test_rollouts_of_a_round_that_is_over_are_not_announced(tmp_path):
    world = World()
    async with Household(world, tmp_path, "a0") as ours:
        await ours.open_round(5)
        await until(lambda: ours.context.health.facts.get("round") == 5)
        await ours.sample(4)
        await until(lambda: not ours.queue._log(ROLLOUTS_LOCAL).entries)
        assert world.records == {}


async def test_a_dead_daemon_only_delays_the_announcement(tmp_path):
    world = World()
    async with Household(world, tmp_path, "a0", "a1") as ours:
        await ours.open_round()
        ours.network.dead.add(ours.identities[0].peer_id)
        await ours.sample()
        await until(lambda: len(ours.arrived()) == 2)
        assert await ours.queue.dead(ROLLOUTS_LOCAL) == []


async def test_a_restart_announces_the_open_round_again(tmp_path):
    world = World()
    ours = Household(world, tmp_path, "a0")
    async with ours:
        await ours.open_round(3)
        await ours.sample(3)
        await until(lambda: world.records)
    world.records.clear()
    async with ours, Household(world, tmp_path / "b", "b0") as theirs:
        await until(lambda: world.records)
        await theirs.open_round(3)
        await until(lambda: theirs.arrived() == [ours.identities[0].peer_id])


@pytest.mark.parametrize(
    "reason", ["wrong_hash", "malformed", "wrong_peer", "wrong_round", "wrong_stage", "wrong_count"]
)
async def test_a_bad_body_is_counted_and_costs_the_good_one_beside_it_nothing(tmp_path, reason):
    eve = identity("eve").peer_id
    bodies = {
        "wrong_hash": body_of(rollouts_of(eve)),
        "malformed": b"{}",
        "wrong_peer": body_of(rollouts_of(identity("mallory").peer_id)),
        "wrong_round": body_of(rollouts_of(eve, 9)),
        "wrong_stage": body_of(rollouts_of(eve, stage=1)),
        "wrong_count": body_of(rollouts_of(eve)),
    }
    changes = {"wrong_hash": {"sha256": "ab" * 32}, "wrong_count": {"groups": 2}}.get(reason, {})
    world = World()
    async with Household(world, tmp_path, "a0", "a1") as ours:
        ours.stranger("eve", bodies[reason])
        await ours.open_round()
        ours.write("eve", bodies[reason], **changes)
        await ours.sample()
        await until(lambda: len(ours.arrived()) == 2)
        await asyncio.sleep(0.4)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {reason: 1}
        assert len(ours.asked) == 1


@pytest.mark.parametrize("how", ["not packed", "cut short", "a bomb"])
async def test_what_does_not_unpack_into_what_was_announced_is_counted_and_blamed(tmp_path, how):
    body = body_of(rollouts_of(identity("eve").peer_id))
    packed, reason = {
        "not packed": (body, "malformed"),
        "cut short": (pack(body)[:-9], "malformed"),
        "a bomb": (pack(b"[" * 2**26), "wrong_hash"),
    }[how]
    async with Household(World(), tmp_path, "a0") as ours:
        ours.raw_stranger("eve", packed)
        await ours.open_round()
        ours.write("eve", body)
        await until(lambda: ours.asked)
        await asyncio.sleep(0.2)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {reason: 1}


async def test_a_peer_has_one_body_a_round(tmp_path):
    eve = identity("eve").peer_id
    first, second = (body_of(rollouts_of(eve, text=text)) for text in ("1", "2"))
    async with Household(World(), tmp_path, "a0") as ours:
        ours.stranger("eve", first)
        await ours.open_round()
        ours.write("eve", first)
        await until(lambda: ours.arrived() == [eve])
        ours.write("eve", first, expires=time.time() + 200)  # the same again is no offence
        await asyncio.sleep(0.6)
        ours.write("eve", second)
        await asyncio.sleep(0.6)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"duplicate": 1}
        assert ours.arrived() == [eve]


async def test_a_peer_that_fails_again_and_again_is_left_alone(tmp_path):
    async with Household(World(), tmp_path, "a0", quarantine={"budget": 2, "half_life_s": 600}) as ours:
        ours.stranger("eve", b"{}")
        await ours.open_round()
        for attempt in range(4):
            ours.write("eve", b"{}", groups=attempt + 1, sha256=f"{attempt}" * 64)
            await asyncio.sleep(0.45)
        await ours.open_round(2)
        await until(ours.events)
        assert len(ours.asked) == 2
        assert ours.events()[0].rejected == {"wrong_hash": 2, "quarantined": 2}


async def test_what_comes_after_the_deadline_is_late(tmp_path):
    eve = identity("eve").peer_id
    async with Household(World(), tmp_path, "a0") as ours:
        ours.stranger("eve", body_of(rollouts_of(eve)))
        await ours.open_round(seconds=0.3)
        await asyncio.sleep(0.5)
        ours.write("eve", body_of(rollouts_of(eve)))
        await asyncio.sleep(0.6)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"late": 1}
        assert ours.arrived() == ours.asked == []


async def test_a_body_that_comes_after_the_deadline_is_late_and_no_offence(tmp_path, monkeypatch):
    eve = identity("eve").peer_id
    async with Household(World(), tmp_path, "a0") as ours:
        ours.stranger("eve", body_of(rollouts_of(eve)))
        quick = ours.network.fetch

        async def slow(peer: str, digest: str) -> bytes:
            await asyncio.sleep(0.8)
            return await quick(peer, digest)

        ours.network.fetch = slow
        await ours.open_round(seconds=0.6)
        ours.write("eve", body_of(rollouts_of(eve)))
        await asyncio.sleep(1.5)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"late": 1}
        assert ours.arrived() == []


async def test_a_body_that_nobody_serves_is_unreachable(tmp_path):
    async with Household(World(), tmp_path, "a0") as ours:
        await ours.open_round()
        ours.write("eve", b"x")
        await asyncio.sleep(0.6)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"unreachable": 1}


async def test_a_body_announced_as_too_large_is_not_asked_for(tmp_path):
    async with Household(World(), tmp_path, "a0") as ours:
        ours.stranger("eve", b"x")
        await ours.open_round()
        ours.write("eve", b"x", size=2_000_000)
        await asyncio.sleep(0.6)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"too_large": 1}
        assert ours.asked == []


async def test_a_round_takes_so_many_peers(tmp_path):
    async with Household(World(), tmp_path, "a0", max_peers=1) as ours:
        await ours.open_round()
        for name in ("eve", "mallory"):
            body = body_of(rollouts_of(identity(name).peer_id))
            ours.stranger(name, body)
            ours.write(name, body)
        await until(lambda: len(ours.arrived()) == 1)
        await asyncio.sleep(0.4)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"too_many": 1}


async def test_an_unreadable_network_and_full_queue_stop_nothing(tmp_path):
    async with Household(World(), tmp_path, "a0", "a1") as ours:

        async def broken(*_) -> dict[str, bytes]:
            raise NetworkError("no")

        ours.network.announcements, working = broken, ours.network.announcements
        await ours.open_round()
        await ours.sample()
        await asyncio.sleep(0.6)
        assert not ours.task.done()
        ours.network.announcements = working
        await until(lambda: len(ours.arrived()) == 2)


async def test_silent_entry_points_are_told_and_heal(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.network.membership.CHECK_S", 0.05)
    world = World()
    ours = Household(world, tmp_path / "a", "a0")
    far = f"/ip4/192.0.2.1/tcp/1/p2p/{identity('b0').peer_id}"
    own = f"/ip4/127.0.0.1/tcp/1/p2p/{identity('a0').peer_id}"
    await put_bootnodes(ours.store, ["rubbish", own])
    async with ours:
        await asyncio.sleep(0.2)
        assert ours.context.health.state()["degraded"] == {}  # we are the first
        await put_bootnodes(ours.store, ["rubbish", own, far])
        await until(lambda: "peers" in ours.context.health.state()["degraded"])
        assert far in ours.context.health.state()["degraded"]["peers"]
        async with Household(world, tmp_path / "b", "b0"):
            await until(lambda: ours.context.health.state()["degraded"] == {})
            assert ours.context.health.facts["connected"] == 1


async def test_a_body_is_served_so_often_and_forgotten_after_a_few_rounds():
    bodies, ann = Bodies(MemoryStore(), Tally(), rounds_kept=2), identity("ann").peer_id
    kept = await bodies.keep(rollouts_of(ann, 1), body_of(rollouts_of(ann, 1)))
    assert [bodies.serve(kept.sha256, "eve") is None for _ in range(SERVINGS + 2)] == [False] * SERVINGS + [True] * 2
    assert bodies.serve(kept.sha256, "bob") is not None
    assert bodies.serve("ab" * 32, "bob") is None
    for number in (2, 3):
        await bodies.keep(rollouts_of(ann, number), body_of(rollouts_of(ann, number)))
    assert bodies.serve(kept.sha256, "carol") is None
    assert len(bodies.of(3, 0)) == 1
    assert len(bodies._packed) == 2


async def test_kept_bodies_survive_a_restart_even_if_some_are_gone():
    store, ann = MemoryStore(), identity("ann").peer_id
    bodies = Bodies(store, Tally(), rounds_kept=3)
    first, second = [
        await bodies.keep(rollouts_of(ann, number), body_of(rollouts_of(ann, number))) for number in (1, 2)
    ]
    await store.take(f"body:{first.sha256}")
    again = Bodies(store, Tally(), rounds_kept=3)
    await again.load()
    assert again.of(1, 0) == []
    assert again.of(2, 0) == [second]
    assert unpack(again.serve(second.sha256, "bob"), second.size) == body_of(rollouts_of(ann, 2))


async def test_a_peer_more_is_hosted_for_a_trainer_that_waits_and_no_more_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.network.membership.CHECK_S", 0.05)
    async with Household(World(), tmp_path, "a0", peers_max=2) as ours:
        ours.settings.identity_of(1).parent.mkdir(parents=True)
        ours.settings.identity_of(1).write_bytes(identity("a1").path.read_bytes())
        both = [identity(name).peer_id for name in ("a0", "a1")]
        await ours.store.hold(LEASE + both[0], "one", ttl_s=30)
        await report(ours.store, "one", at=time.time() + 1)
        await wish_for_peer(ours.store, "two", time.time())
        await until(lambda: ours.network.hosted == tuple(both))
        await until(lambda: len(ours.queue._log(SUBMISSIONS).entries) == 2)
        assert await hosted_peers(ours.store) == both
        ours.identities.append(identity("a1"))
        await ours.open_round()
        await ours.sample()
        await until(lambda: sorted(ours.arrived()) == sorted(both))  # the new one announces and fetches like the others
        await ours.store.hold(LEASE + both[1], "two", ttl_s=30)
        await report(ours.store, "two", at=time.time() + 1)
        await wish_for_peer(ours.store, "three", time.time())
        await until(lambda: "P2P_PEERS_MAX" in ours.context.health.state()["degraded"].get("seats", ""))
        assert len(ours.network.hosted) == 2
        await withdraw_wish(ours.store, "three")
        await until(lambda: "seats" not in ours.context.health.state()["degraded"])


async def test_no_peer_is_added_for_a_trainer_that_takes_a_killed_ones_place(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.network.membership.CHECK_S", 0.05)
    async with Household(World(), tmp_path, "a0") as ours:
        await ours.store.hold(LEASE + ours.network.hosted[0], "killed", ttl_s=30)
        await report(ours.store, "killed", at=time.time() - 1)
        for _ in range(8):
            await wish_for_peer(ours.store, "again", time.time())
            await asyncio.sleep(0.1)
        assert len(ours.network.hosted) == 1


async def test_a_store_that_lost_everything_is_told_again_who_is_hosted(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.network.membership.CHECK_S", 0.05)
    async with Household(World(), tmp_path, "a0") as ours:
        ours.store._values.clear()
        await asyncio.sleep(0.3)
        assert await hosted_peers(ours.store) == [identity("a0").peer_id]


async def test_whoever_sends_anothers_rollouts_is_found_out_even_if_he_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.trust.notes.SELDOM_S", 0.0)
    ann, eve = identity("ann").peer_id, identity("eve").peer_id
    theft = body_of(rollouts_of(ann).model_copy(update={"peer_id": eve}))
    async with Household(World(), tmp_path, "a0", quarantine={"budget": 1, "half_life_s": 600}) as ours:
        ours.stranger("ann", body_of(rollouts_of(ann)))
        await ours.open_round()
        ours.write("ann", b"unreachable", size=1_500_000)  # there is such a peer
        await asyncio.sleep(0.6)
        ours.stranger("eve", theft)
        ours.write("eve", theft)
        await asyncio.sleep(0.6)
        ours.write("ann", body_of(rollouts_of(ann)))
        ours.stranger("ann", body_of(rollouts_of(ann)))
        await until(lambda: ours.arrived() == [ann])
        await ours.open_round(3)
        await until(ours.events)
        assert ours.events()[0].rejected["copied"] == 1
        notes = {note.peer_id: note for note in await peer_notes(ours.store)}
        assert (notes[eve].quarantined, notes[eve].reason) == (True, "copied")
        assert not notes[ann].quarantined


async def test_whose_answers_the_trainers_find_to_be_none_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.trust.notes.SELDOM_S", 0.0)
    eve, body = identity("eve").peer_id, body_of(rollouts_of(identity("eve").peer_id))
    async with Household(World(), tmp_path, "a0", quarantine={"budget": 1, "half_life_s": 600}) as ours:
        ours.stranger("eve", body)
        await ours.open_round()
        ours.write("eve", body)
        await until(lambda: ours.arrived() == [eve])
        found = Heard(groups=0, informative=0, mean_reward=0.0, refused={"altered": 1})
        told = next(one for one in EXAMPLES if isinstance(one, Trained)).model_copy(update={"heard": {eve: found}})
        await ours.queue.publish(EVENTS, told.model_copy(update={"round": 1, "stage": 0}))
        while not (notes := await peer_notes(ours.store)) or not notes[0].quarantined:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (notes[0].peer_id, notes[0].reason) == (eve, "forged")


async def test_where_we_are_registered_ourselves_only_registered_peers_are_heard(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.trust.roster.LOOK_S", 0.05)
    monkeypatch.setattr("services.p2p.trust.members.MAX_NEW", 1)
    async with Household(World(), tmp_path, "a0") as ours:
        bodies = {name: body_of(rollouts_of(identity(name).peer_id)) for name in ("ann", "bob", "eve")}
        for name, body in bodies.items():
            ours.stranger(name, body)
        await put_members(ours.store, Members(swarm="x", peers=tuple(identity(name).peer_id for name in ("a0", "ann"))))
        await until(lambda: ours.context.health.facts.get("members") == 2)
        await ours.open_round()
        for name, body in bodies.items():  # bob is let in as one who may be new, eve is one too many
            ours.write(name, body)
        await until(lambda: len(ours.arrived()) == 2)
        await asyncio.sleep(0.5)
        await ours.open_round(2)
        await until(ours.events)
        assert ours.events()[0].rejected == {"not_member": 1}


async def report(store: MemoryStore, trainer: str, at: float) -> None:
    state = {"service": "trainer", "instance": trainer, "pid": 1, "port": 1, "at": at, "status": "ok"}
    await put_service_state(store, ServiceState(**state, progress_age_s=0, degraded={}, facts={}))


async def test_the_household_is_told_what_each_peer_sent_and_who_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("services.p2p.trust.notes.SELDOM_S", 0.0)
    async with Household(World(), tmp_path, "a0", quarantine={"budget": 1, "half_life_s": 600}) as ours:
        good, bad = body_of(rollouts_of(identity("ann").peer_id)), body_of(rollouts_of(identity("eve").peer_id))
        ann, eve = ours.stranger("ann", good), ours.stranger("eve", b"another body")
        await ours.open_round()
        ours.write("ann", good)
        ours.write("eve", bad)
        ours.network.write(announcement_of(identity("bob"), good).keys[0], identity("bob").peer_id, b"rubbish", 2e9)
        await until(lambda: ours.arrived() == [ann.hosted[0]])
        while len(found := await peer_notes(ours.store)) < 1 or not any(one.quarantined for one in found):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        notes = {note.peer_id: note for note in found}
        assert set(notes) == {*ann.hosted, *eve.hosted}  # of bob only somebody else's rubbish is known
        assert (notes[ann.hosted[0]].accepted, notes[ann.hosted[0]].rejected) == (1, {})
        assert notes[eve.hosted[0]].reason == "rubbish"
        assert notes[eve.hosted[0]].rejected["wrong_hash"] == 1
