"""Clock and submitter together, on a chain in memory."""

import asyncio

import pytest

from services.coordinator.chain import ChainError, ContractMissing
from services.coordinator.memory_chain import Ledger, MemoryChain
from shared.household import LEASE, bootnodes, swarm_state, wish_for_bootnodes, wished_bootnodes
from shared.messages import Registration, Reward, Round, Winners
from shared.streams import ROUNDS, SUBMISSIONS
from tests.coordinator_kit import PEERS, Household, eventually, settings_of

A, B, C = PEERS[:3]


@pytest.fixture
def chain() -> MemoryChain:
    return MemoryChain(Ledger())


def household_of(folder, **clock) -> Household:
    return Household(settings_of(folder, **clock))


async def vote(household: Household, number: int, *peers: str) -> None:
    for peer in peers:
        await household.queue.publish(SUBMISSIONS, Reward(peer_id=peer, round=number, stage=0, points=1))
        await household.queue.publish(SUBMISSIONS, Winners(peer_id=peer, round=number, winners=(A,)))


async def register(household: Household, *peers: str) -> None:
    for peer in peers:
        await household.queue.publish(SUBMISSIONS, Registration(peer_id=peer))


async def rounds(household: Household) -> list[Round]:
    return [entry.message for entry in await household.queue.read(ROUNDS)]


async def until_round(household: Household, number: int) -> Round:
    async def there():
        return next((one for one in await rounds(household) if one.number == number), None)

    return await eventually(there)


async def until_state(household: Household, **fields):
    async def there():
        state = await swarm_state(household.store)
        return state if state and all(getattr(state, name) == value for name, value in fields.items()) else None

    return await eventually(there)


async def test_rounds_are_announced_and_advance_when_all_expected_peers_have_voted(tmp_path, chain):
    household = household_of(tmp_path)
    await household.host(A, B)
    async with household.running(chain):
        first = await until_round(household, 0)
        assert first.deadline == first.opened_at + 20
        await register(household, A, B)
        await vote(household, 0, A)
        await household.until_settled(4)
        await asyncio.sleep(0.3)
        assert len(await rounds(household)) == 1
        await vote(household, 0, B)
        await until_round(household, 1)
        state = await until_state(household, round=1, registered_peers=2)
    assert (state.rewards_settled, state.winners_settled, state.finished) == (2, 2, False)
    assert state.contract == chain.contract


async def test_a_peer_without_a_live_lease_is_not_waited_for(tmp_path, chain):
    household = household_of(tmp_path)
    await household.host(A, B)
    await household.store.take(LEASE + B)
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        await until_round(household, 1)


async def test_a_round_without_votes_is_announced_again_with_a_new_deadline_and_not_advanced(tmp_path, chain):
    household = household_of(tmp_path, max_s=0.2)
    async with household.running(chain):
        found = await eventually(lambda: many(household, 3))
    assert {one.number for one in found} == {0}
    assert len({one.opened_at for one in found}) == 1
    assert [one.deadline for one in found] == sorted({one.deadline for one in found})
    assert chain.swarm.round == 0


async def many(household: Household, count: int) -> list[Round] | None:
    found = await rounds(household)
    return found if len(found) >= count else None


async def test_a_restart_neither_reopens_nor_reannounces_a_round(tmp_path, chain):
    household = household_of(tmp_path)
    async with household.running(chain):
        before = await until_round(household, 0)
    async with household.running(chain):
        await asyncio.sleep(0.3)
    assert await rounds(household) == [before]


async def test_the_last_round_is_marked_and_finishes_when_nothing_waits_for_the_chain(tmp_path, chain):
    household = household_of(tmp_path, max_rounds=2)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        last = await until_round(household, 1)
        assert last.final
        assert not (await until_round(household, 0)).final
        stuck = Reward(peer_id=A, round=5, stage=0, points=1)
        await household.queue.publish(SUBMISSIONS, stuck)
        await vote(household, 1, A)
        await until_state(household, rewards_settled=2, winners_settled=2)
        await asyncio.sleep(0.4)
        assert not (await swarm_state(household.store)).finished
        chain.swarm.round = 5  # as if the round came after all
        await until_state(household, finished=True)
    async with household.running(chain):
        await until_state(household, finished=True)
    assert max(one.number for one in await rounds(household)) == 1


async def test_a_finished_swarm_goes_on_when_more_rounds_are_asked_for(tmp_path, chain):
    household = household_of(tmp_path, max_rounds=1)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        await until_state(household, finished=True)
    longer = Household(settings_of(tmp_path, max_rounds=3), household.queue, household.store)
    async with longer.running(chain):
        await until_round(longer, 1)
        await until_state(longer, finished=False)


async def test_the_founder_replaces_the_bootnodes_and_a_guest_cannot(tmp_path, chain):
    address = "/ip4/10.0.0.1/tcp/4001/p2p/" + A
    household = Household(settings_of(tmp_path))
    await chain.deploy()
    household.settings = household.settings.model_copy(update={"swarm_contract": chain.contract})
    await wish_for_bootnodes(household.store, [address])
    async with household.running(chain):
        await eventually(lambda: bootnodes(household.store))
    assert chain.swarm.bootnodes == [address]
    assert await wished_bootnodes(household.store) is None
    guest = Household(household.settings)
    await wish_for_bootnodes(guest.store, [])
    async with guest.running(MemoryChain(chain.ledger, "0x" + "9" * 40)) as context:
        await eventually(lambda: told_of(context, "bootnodes"))
    assert chain.swarm.bootnodes == [address]


async def told_of(context, part):
    return part in context.health.state()["degraded"]


async def test_who_follows_announces_what_the_chain_says_and_passes_its_bootnodes_on(tmp_path, chain):
    await chain.deploy()
    guest = MemoryChain(chain.ledger, "0x" + "ab" * 20)
    address = chain.contract
    settings = settings_of(tmp_path).model_copy(update={"swarm_contract": address})
    household = Household(settings)
    chain.swarm.bootnodes.append("/ip4/10.0.0.1/tcp/4001/p2p/" + A)
    async with household.running(guest) as context:
        await until_round(household, 0)
        await chain.advance()
        await until_round(household, 1)
        assert await eventually(lambda: bootnodes(household.store)) == chain.swarm.bootnodes
        assert context.health.state()["status"] == "ok"


async def test_a_household_told_to_lead_without_the_role_follows_and_says_so(tmp_path, chain):
    await chain.deploy()
    guest = MemoryChain(chain.ledger, "0x" + "ab" * 20)
    settings = settings_of(tmp_path, leads="yes").model_copy(update={"swarm_contract": chain.contract})
    household = Household(settings)
    await household.host(A)
    async with household.running(guest) as context:
        await register(household, A)
        await vote(household, 0, A)
        await household.until_settled(3)
        assert "STAGE_MANAGER_ROLE" in context.health.state()["degraded"]["rounds"]
    assert chain.swarm.round == 0


async def test_rewards_wait_for_a_registration_that_comes_late(tmp_path, chain):
    household = household_of(tmp_path)
    async with household.running(chain):
        await vote(household, 0, A)
        await asyncio.sleep(3.5)  # more tries than a failing entry has
        assert await household.settled() == []
        await register(household, A)
        settled = await household.until_settled(3)
    assert {one.outcome for one in settled.values()} == {"landed"}
    assert await household.queue.dead(SUBMISSIONS) == []


async def test_a_strangers_peer_is_refused_by_name(tmp_path, chain):
    await chain.deploy()
    guest = MemoryChain(chain.ledger, "0x" + "ab" * 20)
    guest.use(chain.contract)
    await guest.submit([Registration(peer_id=A)])
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        settled = await household.until_settled(3)
    assert [one.reason for one in settled.values()] == [
        "PeerIdAlreadyRegistered",
        "InvalidVoterPeerId",
        "InvalidVoterPeerId",
    ]
    assert await household.queue.backlog(SUBMISSIONS) == 0


async def test_an_outage_loses_nothing_and_gives_nothing_up(tmp_path, chain):
    household = household_of(tmp_path)
    async with household.running(chain) as context:
        await register(household, A)
        await household.until_settled(1)
        chain.ledger.up = False
        await vote(household, 0, A)
        await eventually(lambda: degraded(context))
        await asyncio.sleep(1.0)
        assert await household.queue.backlog(SUBMISSIONS) == 2
        assert context.health.age_s() < 1
        chain.ledger.up = True
        await household.until_settled(3)
        await eventually(lambda: healthy(context))
    assert await household.queue.dead(SUBMISSIONS) == []


async def degraded(context) -> bool:
    return "chain" in context.health.state()["degraded"]


async def healthy(context) -> bool:
    return context.health.state()["status"] == "ok"


async def test_a_coordinator_cut_off_anywhere_loses_and_doubles_nothing(tmp_path, chain):
    household = household_of(tmp_path)
    await household.host(A, B, C)
    await register(household, A, B, C)
    await vote(household, 0, A, B, C)
    cuts = 0
    while await household.queue.backlog(SUBMISSIONS) and cuts < 400:
        async with household.killed(chain):
            for _ in range(cuts):  # a few steps further each time
                await asyncio.sleep(0)
        # A restart is a new delivery. This is about exactness; five of them are another test's matter.
        for held in household.queue._log(SUBMISSIONS).held.values():
            held.attempts = 0
        cuts += 1
    assert cuts > 5
    settled = {one.key: one for one in await household.settled()}
    assert len(settled) == 9
    async with household.running(chain):
        state = await until_state(household, rewards_settled=3, winners_settled=3)
    assert state.registered_peers == 3
    assert len(chain.swarm.landed) == 9


async def test_what_the_chain_forgot_is_sent_again_and_counted_once(tmp_path, chain):
    household = household_of(tmp_path)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        await household.until_settled(1)
        saved = chain.ledger.snapshot()
        await vote(household, 0, A)
        await until_round(household, 1)
        announced = await rounds(household)
        chain.ledger.restore(saved)
        await until_state(household, round=1, rewards_settled=1, winners_settled=1)
        await eventually(lambda: held(chain, Winners(peer_id=A, round=0, winners=(A,))))
        await until_state(household, round=1)
    assert await rounds(household) == announced
    assert all(await chain.holds([one.submission for one in await household.settled()]))


async def held(chain, submission) -> bool:
    return (await chain.holds([submission]))[0]


async def test_what_the_chain_forgot_while_nobody_looked_is_found_at_the_start(tmp_path, chain):
    household = household_of(tmp_path)
    async with household.running(chain):
        await register(household, A)
        await household.until_settled(1)
        saved = chain.ledger.snapshot()
        await vote(household, 0, A)
        await household.until_settled(3)
    chain.ledger.restore(saved)
    async with household.running(MemoryChain(chain.ledger)):
        await eventually(lambda: none_waits(household))
    assert len(chain.swarm.landed) == 3


async def none_waits(household: Household) -> bool:
    entries = await household.settled()
    return len(entries) == 5 and await household.queue.backlog(SUBMISSIONS) == 0


async def test_a_reset_chain_gets_a_new_contract_its_peers_and_no_rewards_of_the_old_one(tmp_path, chain):
    household = household_of(tmp_path)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        for number in range(3):
            await vote(household, number, A)
        await until_round(household, 3)
        chain.ledger.reset()
        await household.queue.publish(SUBMISSIONS, Reward(peer_id=A, round=2, stage=0, points=1))
        state = await until_state(household, round=0, registered_peers=1)
        assert (state.rewards_settled, state.winners_settled) == (0, 0)
        reopened = [one for one in await rounds(household) if one.number == 0]
        assert len({one.opened_at for one in reopened}) == 2
        refused = await eventually(lambda: refusals(household))
        assert "reset" in refused[0].reason
        await vote(household, 0, A)
        await until_state(household, round=1, rewards_settled=1)


async def refusals(household: Household):
    return [one for one in await household.settled() if one.outcome == "refused"]


async def test_a_hosted_peer_nobody_registered_is_registered_in_the_end(tmp_path, chain, monkeypatch):
    monkeypatch.setattr("services.coordinator.recall.PATIENCE_S", 0.2)
    household = household_of(tmp_path)
    await household.host(A, B)
    async with household.running(chain):
        await until_state(household, registered_peers=2)


async def test_an_address_without_a_contract_ends_the_service_with_a_clear_line(tmp_path, chain):
    await chain.deploy()
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": "0x" + "12" * 20}))
    with pytest.raises(ExceptionGroup) as caught:
        async with household.running(chain):
            await asyncio.sleep(0.3)
    (error,) = caught.value.exceptions
    assert isinstance(error, ContractMissing)
    assert "0x1212" in str(error)
    assert "SWARM_CONTRACT" in str(error)


async def test_what_was_settled_and_comes_again_is_neither_counted_nor_told_again(tmp_path, chain):
    household = household_of(tmp_path, min_s=20)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        before = await household.until_settled(3)
        await vote(household, 0, A)  # a trainer was restarted
        await eventually(lambda: drained(household))
    async with household.running(chain):  # and the coordinator too
        await vote(household, 0, A)
        await eventually(lambda: drained(household))
        await until_state(household, rewards_settled=1, winners_settled=1)
    assert await household.settled() == list(before.values())


async def test_a_queue_that_lost_everything_is_told_again_which_round_is_open_and_what_landed(tmp_path, chain):
    household = household_of(tmp_path, min_s=20)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        await vote(household, 0, A)
        before = await household.until_settled(3)
        opened = await until_round(household, 0)
        household.queue._logs.clear()
        household.store._values.clear()
        household.store.lives += 1
        assert await until_round(household, 0) == opened
        await vote(household, 0, A)  # as its trainer does
        after = await household.until_settled(2)
        await until_state(household, rewards_settled=1, winners_settled=1)
    assert after == {key: one for key, one in before.items() if key in after}


async def drained(household: Household) -> bool:
    return await household.queue.backlog(SUBMISSIONS) == 0


async def test_a_round_of_three_stages_is_announced_stage_by_stage_and_only_its_end_is_final(tmp_path, chain):
    household = household_of(tmp_path, game="debate", max_rounds=1)
    await household.host(A)
    async with household.running(chain):
        await register(household, A)
        for stage in range(3):
            await eventually(lambda stage=stage: opened_at(household, stage))
            await household.queue.publish(SUBMISSIONS, Reward(peer_id=A, round=0, stage=stage, points=1))
        await household.queue.publish(SUBMISSIONS, Winners(peer_id=A, round=0, winners=(A,)))
        await until_state(household, finished=True, stage=2)
    told = await rounds(household)
    assert [(one.stage, one.stages, one.closes, one.final) for one in told] == [
        (0, 3, False, False),
        (1, 3, False, False),
        (2, 3, True, True),
    ]


async def opened_at(household: Household, stage: int) -> bool:
    return any(one.stage == stage for one in await rounds(household))


async def test_who_may_not_set_the_stages_leads_on_and_says_so(tmp_path, chain, monkeypatch):
    async def refuse(count):
        raise ChainError("this account may not set the stages of rounds (OnlyOwner)", "grant OWNER_ROLE")

    monkeypatch.setattr(chain, "set_stages", refuse)
    household = household_of(tmp_path, stages=2)
    await household.host(A)
    async with household.running(chain) as context:
        await until_round(household, 0)
        assert "OnlyOwner" in context.health.state()["degraded"]["stages"]
        await register(household, A)
        await vote(household, 0, A)
        assert (await until_round(household, 1)).stages == 1
