"""What the chain holds of all peers, told to the household: on a chain in memory, and strangers' logs on a real one."""

import asyncio

import pytest

from services.coordinator import history as module
from services.coordinator.chain import Place
from services.coordinator.history import KEPT, Reading
from services.coordinator.memory_chain import Ledger, MemoryChain
from services.coordinator.signer import SignerError
from services.coordinator.web3_chain import Web3Chain
from shared.household import MEMBERS, members, members_mark, swarm_state
from shared.messages import Recorded, Registration, Reward, Winners
from shared.streams import HISTORY
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, KeySigner, eventually, settings_of

A, B, C = PEERS[:3]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.1)


@pytest.fixture
def chain() -> MemoryChain:
    return MemoryChain(Ledger())


async def guest_of(chain: MemoryChain) -> MemoryChain:
    guest = MemoryChain(chain.ledger, "0x" + "ab" * 20)
    guest.use(chain.contract)
    return guest


async def told(household: Household) -> list[Recorded]:
    return [entry.message for entry in await household.queue.read(HISTORY)]


async def until_told(household: Household, *keys: str) -> list[Recorded]:
    async def there():
        found = await told(household)
        return found if {one.key for one in found} >= set(keys) else None

    return await eventually(there)


def reward(peer: str, number: int = 0) -> Reward:
    return Reward(peer_id=peer, round=number, stage=0, points=7)


async def test_everybodys_submissions_are_told_once_from_the_first_block_on(tmp_path, chain):
    await chain.deploy()
    guest = await guest_of(chain)
    await chain.submit([Registration(peer_id=A)])
    await guest.submit([Registration(peer_id=B)])
    await guest.submit([reward(B)])
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    async with household.running(chain) as context:
        await until_told(household, reward(B).key)
        vote = Winners(peer_id=A, round=0, winners=(B,))
        (landed,) = await chain.submit([vote])
        found = await until_told(household, vote.key)
        assert context.health.facts["history"] >= landed.block
        swarm = f"685685:{chain.contract}:"
    assert [one.submission for one in found] == [Registration(peer_id=A), Registration(peer_id=B), reward(B), vote]
    assert [one.account for one in found] == [chain.account, guest.account, guest.account, chain.account]
    assert (found[-1].transaction, found[-1].block) == (landed.transaction, landed.block)
    assert {one.swarm for one in found} == {swarm}
    async with household.running(chain):  # a restart goes on where it was
        await guest.submit([Winners(peer_id=B, round=0, winners=(A,))])
        assert len(await until_told(household, f"winners:0:{B}")) == 5


async def test_a_long_chain_is_caught_up_with_in_bounded_looks(tmp_path, chain, monkeypatch):
    monkeypatch.setattr(module, "BLOCKS", 5)
    await chain.deploy()
    await chain.submit([Registration(peer_id=A)])
    chain.swarm.round = 60
    for number in range(60):
        await chain.submit([reward(A, number)])
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    async with household.running(chain):
        await eventually(lambda: swarm_state(household.store))
        assert len(await told(household)) < 40  # the clock did not wait for it
        found = await until_told(household, reward(A, 59).key)
    assert len(found) == 61
    assert len(Reading.model_validate_json(await household.store.get(module.KEY)).places) <= KEPT


async def test_a_chain_that_went_back_is_read_again_from_what_is_left_of_it(tmp_path, chain):
    await chain.deploy()
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    guest = await guest_of(chain)
    async with household.running(chain):
        await guest.submit([Registration(peer_id=B)])
        await until_told(household, f"registration:{B}")
        saved = chain.ledger.snapshot()
        await guest.submit([reward(B)])
        await until_told(household, reward(B).key)
        chain.ledger.restore(saved)
        await guest.submit([Registration(peer_id=C)])
        await guest.submit([reward(B)])
        found = await until_told(household, f"registration:{C}")
        again = await eventually(lambda: twice(household, reward(B).key))
    assert [one.key for one in found].count(f"registration:{B}") == 1  # what was not lost is not told again
    assert again[0].transaction != again[1].transaction


async def twice(household: Household, key: str) -> list[Recorded] | None:
    found = [one for one in await told(household) if one.key == key]
    return found if len(found) > 1 else None


async def test_another_swarm_is_told_from_its_beginning_under_its_own_name(tmp_path, chain):
    household = Household(settings_of(tmp_path))
    await household.host(A)
    async with household.running(chain):
        await eventually(lambda: swarm_state(household.store))
        await chain.submit([Registration(peer_id=A)])
        first = (await until_told(household, f"registration:{A}"))[0].swarm
        chain.ledger.reset()

        async def anew():
            return [one for one in await told(household) if one.swarm != first]

        assert [one.key for one in await eventually(anew, 20)] == [f"registration:{A}"]


async def test_the_household_learns_who_is_registered_and_again_when_it_has_forgotten(tmp_path, chain):
    await chain.deploy()
    guest = await guest_of(chain)
    await guest.submit([Registration(peer_id=B)])
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    swarm = f"685685:{chain.contract}:"

    async def listed():
        return (await members(household.store)).peers

    async with household.running(chain):
        await until_told(household, f"registration:{B}")
        before = await members_mark(household.store)
        await chain.submit([Registration(peer_id=A)])
        await until_told(household, f"registration:{A}")
        assert (await listed(), before[0]) == ((B, A), swarm)
        assert before[0] == (await members_mark(household.store))[0]
        assert before != await members_mark(household.store)
    for key in (MEMBERS, f"{MEMBERS}:mark"):
        await household.store.take(key)
    async with household.running(chain):  # read from the first block again
        assert await eventually(listed) == (B, A)


async def test_an_outage_of_the_chain_is_waited_out(tmp_path, chain):
    await chain.deploy()
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    async with household.running(chain):
        await eventually(lambda: swarm_state(household.store))
        chain.ledger.up = False
        await asyncio.sleep(0.5)
        chain.ledger.up = True
        await chain.submit([Registration(peer_id=A)])
        await until_told(household, f"registration:{A}")


class Locked(MemoryChain):
    """The chain of an account whose key is locked."""

    async def advance(self) -> None:
        raise SignerError("the account's key is locked", "log in")


async def test_a_household_that_may_not_sign_still_sees_what_others_put_on_the_chain(tmp_path):
    chain = Locked(Ledger())
    await chain.deploy()
    guest = await guest_of(chain)
    await guest.submit([Registration(peer_id=B)])
    await guest.submit([reward(B), Winners(peer_id=B, round=0, winners=(B,))])  # enough for the round to be over
    household = Household(settings_of(tmp_path).model_copy(update={"swarm_contract": chain.contract}))
    async with household.running(chain) as context:
        await until_told(household, f"winners:0:{B}")
        assert (await eventually(lambda: swarm_state(household.store))).round == 0
        assert "locked" in context.health.state()["degraded"]["signing"]


def test_the_places_that_are_kept_reach_back_to_the_beginning():
    reading = Reading(swarm="x")
    for block in range(1_000):
        reading = reading.on(Place(block, f"0x{block:x}"))
    blocks = [block for block, _ in reading.places]
    assert len(blocks) <= KEPT and blocks[-16:] == list(range(984, 1_000)) and blocks[0] < 100
    assert reading.back().at() == Place(998, "0x3e6")


async def test_strangers_logs_that_are_no_submissions_are_skipped_and_stop_nobody(node, tmp_path):
    chain, guest = (Web3Chain(node.url, KeySigner(), ARTIFACTS, receipt_timeout_s=5) for _ in range(2))
    await chain.deploy()
    guest.use(chain.contract)
    await chain.submit([Registration(peer_id=A)])
    await chain.submit([reward(A), Winners(peer_id=A, round=0, winners=(B,))])
    odd, many = "<script>alert(1)</script>", tuple(f"peer {n}" for n in range(70))
    for signature, arguments in (
        ("registerPeer(string)", (odd,)),
        ("registerPeer(string)", (B,)),
        ("submitReward(uint256,uint256,int256,string)", (0, 0, -(2**200), B)),
        ("submitWinners(uint256,string[],string)", (0, many, B)),
        ("submitWinners(uint256,string[],string)", (0, (A,), odd)),
    ):
        await send(guest, guest._interface.call(signature, arguments))
    for signature, arguments in (
        ("registerPeer(string)", ("Qm" + "x" * 44,)),
        ("submitWinners(uint256,string[],string)", (0, ("zz",), "Qm" + "x" * 44)),
    ):
        await send(guest, guest._interface.call(signature, arguments).replace("516d", "ff6d", 1))  # no UTF-8
    chapter = await chain.history(None, 10_000)
    assert [one.key for one in chapter.recorded] == [
        f"registration:{A}",
        reward(A).key,
        f"winners:0:{A}",
        f"registration:{B}",
    ]
    assert (chapter.skipped, chapter.complete) == (6, True)
    assert {one.account for one in chapter.recorded} == {chain.account.lower(), guest.account.lower()}
    await chain.head()
    assert await chain.voters(0) == {A, B, odd}


async def send(chain: Web3Chain, data: str) -> None:
    from services.coordinator.sender import Transaction

    (receipt,) = await chain._sender.send([Transaction(chain.contract, data, 6_000_000)])
    assert receipt["status"] == "0x1"
