"""The bridge to stock nodes beside the other loops, on a network in memory."""

from __future__ import annotations

import asyncio
import time

import msgpack
import pytest

from services.p2p.bridge import bridge
from services.p2p.network.memory import World
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS
from tests.integration.test_p2p_exchange import Household
from tests.p2p_kit import identity, rollouts_of, until
from tests.stock_kit import batches, packed, payload, tagged, value

ON = {"bridge": True, "completions": 2, "peers": 3}


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr(bridge, "LOOK_S", (0.05, 0.1))
    monkeypatch.setattr(bridge, "STEP_S", 0.05)


def stock_writes(house: Household, name: str, value_: object, number: int = 1) -> str:
    """Somebody writes a record under a stock node's name."""
    peer = identity(name).peer_id
    house.network.write(str(number), peer, value_, time.time() + 600)
    return peer


def unsigned(house: Household) -> list:
    return [entry.message for entry in house.queue._after(ROLLOUTS_PEER, "0") if not entry.message.signed]


def written(house: Household, number: int = 1) -> dict:
    return {peer: value_ for peer, (value_, _) in house.world.records.get(str(number), {}).items()}


async def test_stock_nodes_rollouts_of_either_layout_arrive_unsigned_whatever_stands_beside_them(tmp_path):
    async with Household(World(), tmp_path, "a0", stock=ON) as house:
        empty = packed(batches(payload(actions=[])))
        for name, odd in (("eve", b"rubbish"), ("eva", 7), ("evi", empty), ("a0", value())):
            stock_writes(house, name, odd)
        house.network.write("1", "a plain word", value(), time.time() + 600)
        ours = payload(metadata=None)
        stock_writes(house, "bob", packed(batches({**ours, "metadata": {"rlswarm": 1}})))
        new, old = stock_writes(house, "new", value()), stock_writes(house, "old", value(["5"], layout=tagged))
        await house.open_round()
        await until(lambda: len(unsigned(house)) == 2)
        found = {one.peer_id: one for one in unsigned(house)}
        assert set(found) == {new, old}
        assert [one.text for one in found[old].groups[0].completions] == ["5"]
        stock_writes(house, "new", value(["another"]))
        await asyncio.sleep(0.4)
        await house.open_round(2)
        await until(lambda: bool(house.events()))
        (told,) = house.events()
        assert (told.unsigned, told.accepted, len(unsigned(house))) == (2, 0, 2)
        assert told.rejected == {"malformed": 4}


async def test_what_our_trainers_sampled_stands_where_stock_nodes_look_and_our_own_kind_reads_it_once(tmp_path):
    world = World()
    async with (
        Household(world, tmp_path / "a", "a0", stock=ON) as ours,
        Household(world, tmp_path / "b", "b0", stock=ON) as theirs,
    ):
        for house in (ours, theirs):
            await house.open_round()
            await house.sample()
        await until(lambda: len(written(ours)) == 2 and ours.arrived() and theirs.arrived())
        (batch,) = msgpack.unpackb(written(ours)[identity("a0").peer_id]).values()
        assert batch[0]["actions"] == ["4", "5"]
        await asyncio.sleep(0.4)
        assert (len(ours.arrived()), unsigned(ours), unsigned(theirs)) == (1, [], [])


async def test_what_could_not_be_written_is_written_once_the_network_is_back(tmp_path):
    async with Household(World(), tmp_path, "a0", stock=ON) as house:
        await house.open_round()
        house.network.dead.add(house.identities[0].peer_id)
        kept = rollouts_of(house.identities[0].peer_id)
        await house.queue.publish(ROLLOUTS_LOCAL, kept)
        await until(lambda: bool(written(house)))


async def test_of_a_crowd_a_few_are_taken(tmp_path):
    async with Household(World(), tmp_path, "a0", stock=ON) as house:
        for n in range(9):
            stock_writes(house, f"stock-{n % 5}", value([f"{n}"]))
        await house.open_round()
        await until(lambda: len(unsigned(house)) == 3)
        await asyncio.sleep(0.4)
        assert len(unsigned(house)) == 3


async def test_in_the_later_stages_and_after_the_deadline_nothing_is_exchanged(tmp_path):
    async with Household(World(), tmp_path, "a0", stock=ON) as house:
        await house.open_round(1, seconds=-1)
        stock_writes(house, "new", value())
        await house.sample(1)
        await house.open_round(2)
        later = (await house.queue.last(ROUNDS)).message.model_copy(update={"stage": 1, "stages": 3})
        await house.queue.publish(ROUNDS, later)
        await asyncio.sleep(0.3)
        stock_writes(house, "new", value(), 2)
        await house.queue.publish(ROLLOUTS_LOCAL, rollouts_of(house.identities[0].peer_id, 2, stage=1))
        await asyncio.sleep(0.4)
        assert unsigned(house) == []
        assert set(written(house, 2)) == {identity("new").peer_id}


async def test_without_the_setting_there_is_no_bridge(tmp_path):
    async with Household(World(), tmp_path, "a0") as house:
        stock_writes(house, "new", value())
        await house.open_round()
        await house.sample()
        await asyncio.sleep(0.5)
        assert set(written(house)) == {identity("new").peer_id}
        assert unsigned(house) == [] and await house.network.read_stock(1) == {}
        assert await house.queue.last(EVENTS) is None
