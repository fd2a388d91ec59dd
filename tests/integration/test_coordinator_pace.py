"""The founder's pace, on a chain in memory: pausing, going on, longer and shorter rounds."""

import asyncio
import logging

import pytest

from services.coordinator.memory_chain import Ledger, MemoryChain
from shared.household import Pace, put_pace, swarm_state
from shared.messages import Registration, Reward, Round, Winners
from shared.streams import ROUNDS, SUBMISSIONS
from tests.coordinator_kit import PEERS, Household, eventually, settings_of

A = PEERS[0]


@pytest.fixture
def chain() -> MemoryChain:
    return MemoryChain(Ledger())


async def vote(household: Household, number: int) -> None:
    if number == 0:
        await household.queue.publish(SUBMISSIONS, Registration(peer_id=A))
    await household.queue.publish(SUBMISSIONS, Reward(peer_id=A, round=number, stage=0, points=1))
    await household.queue.publish(SUBMISSIONS, Winners(peer_id=A, round=number, winners=(A,)))


async def announced(household: Household) -> list[Round]:
    return [entry.message for entry in await household.queue.read(ROUNDS)]


async def until_word(household: Household, **fields) -> Round:
    async def there():
        told = await announced(household)
        return told[-1] if told and all(getattr(told[-1], name) == value for name, value in fields.items()) else None

    return await eventually(there)


async def until_state(household: Household, **fields):
    async def there():
        state = await swarm_state(household.store)
        return state if state and all(getattr(state, name) == value for name, value in fields.items()) else None

    return await eventually(there)


async def test_a_paused_round_stays_open_with_new_deadlines_and_goes_on_when_told(tmp_path, chain, caplog):
    caplog.set_level(logging.INFO)
    household = Household(settings_of(tmp_path, max_s=0.3))
    await household.host(A)
    async with household.running(chain):
        await until_word(household, number=0, paused=False)
        await put_pace(household.store, Pace(paused=True))
        first = await until_word(household, number=0, paused=True)
        await vote(household, 0)
        await household.until_settled(3)
        await asyncio.sleep(0.8)
        last = await until_word(household, number=0, paused=True)
        assert last.deadline > first.deadline
        assert last.opened_at == first.opened_at
        assert chain.swarm.round == 0
        assert (await until_state(household, paused=True)).leads
        await put_pace(household.store, Pace())
        await until_word(household, number=1, paused=False)
        await until_state(household, paused=False, round=1)
    lines = [record.message for record in caplog.records if "the founder" in record.message]
    assert lines == ["the founder pauses the swarm in round 0", "the founder resumes the swarm in round 0"]


async def test_a_restart_knows_that_the_swarm_is_paused(tmp_path, chain):
    household = Household(settings_of(tmp_path))
    async with household.running(chain):
        await until_word(household, number=0)
        await put_pace(household.store, Pace(paused=True))
        await until_word(household, number=0, paused=True)
    before = await announced(household)
    async with household.running(chain):
        await asyncio.sleep(0.4)
        assert await announced(household) == before
    await put_pace(household.store, Pace())
    async with household.running(chain):
        await until_word(household, number=0, paused=False)


async def test_the_founders_times_and_quorum_hold_at_once_and_are_shown(tmp_path, chain):
    household = Household(settings_of(tmp_path, min_s=0.05, max_s=600))
    async with household.running(chain):
        first = await until_word(household, number=0)
        assert first.deadline > first.opened_at + 500
        assert (await until_state(household, max_s=600, min_s=0.05, quorum=1.0)).waiting == 0
        await put_pace(household.store, Pace(min_s=1, max_s=30, quorum=0.5))
        await until_state(household, max_s=30, min_s=1, quorum=0.5)
        assert (await announced(household))[-1].deadline < first.opened_at + 60


async def test_a_longer_least_time_holds_a_round_whose_votes_are_all_there(tmp_path, chain):
    household = Household(settings_of(tmp_path))
    await household.host(A)
    await put_pace(household.store, Pace(min_s=60))
    async with household.running(chain):
        await vote(household, 0)
        await household.until_settled(3)
        await asyncio.sleep(0.5)
        assert chain.swarm.round == 0
        await put_pace(household.store, Pace())
        await until_word(household, number=1)


async def test_who_only_follows_is_told_no_pace_and_pauses_nothing(tmp_path, chain):
    await chain.deploy()
    guest = MemoryChain(chain.ledger, "0x" + "ab" * 20)
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    await put_pace(household.store, Pace(paused=True, max_s=1))
    async with household.running(guest):
        await until_word(household, number=0, paused=False)
        state = await until_state(household, leads=False, paused=False)
    assert (state.min_s, state.max_s, state.quorum) == (None, None, None)


async def test_what_waits_in_the_outbox_is_told(tmp_path, chain):
    household = Household(settings_of(tmp_path))
    async with household.running(chain):
        await until_word(household, number=0)
        await household.queue.publish(SUBMISSIONS, Reward(peer_id=A, round=9, stage=0, points=1))
        await until_state(household, waiting=1)
