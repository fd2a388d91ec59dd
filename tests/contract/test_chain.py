"""What a chain promises, on the real one (anvil) and on its double."""

import asyncio
import secrets
import time
from collections.abc import Iterator

import pytest

from services.coordinator.chain import ROLES, ChainDown, ChainError, ContractMissing, Landed, Listing, Reverted
from services.coordinator.ledger import LedgerChain
from services.coordinator.memory_chain import Ledger, MemoryChain
from services.coordinator.web3_chain import Web3Chain
from services.local.anvil import AnvilMissing
from shared.messages import Registration, Reward, Winners
from tests.coordinator_kit import ARTIFACTS, PEERS, KeySigner, Node, signer_of

A, B, C = PEERS[:3]
NODE = "/ip4/203.0.113.7/tcp/38331/p2p/" + A
NOWHERE = "0x" + "12" * 20


class Memory:
    def __init__(self) -> None:
        self.ledger = Ledger()

    def chain(self) -> MemoryChain:
        return MemoryChain(self.ledger, "0x" + secrets.token_hex(20))

    def save(self) -> None:
        self.saved = self.ledger.snapshot()

    def go_back(self) -> None:
        self.ledger.restore(self.saved)

    def unreachable(self) -> MemoryChain:
        ledger = Ledger()
        ledger.up = False
        return MemoryChain(ledger)


class Paper:
    """The ledger, several accounts in one file."""

    def __init__(self, folder) -> None:
        self.path = folder / "ledger.db"

    def chain(self) -> LedgerChain:
        self.newest = LedgerChain(self.path, KeySigner(), ARTIFACTS, 685685)
        return self.newest

    def save(self) -> None:
        self.newest.close()
        self.saved = self.path.read_bytes()

    def go_back(self) -> None:
        self.newest.close()
        self.path.write_bytes(self.saved)

    def unreachable(self) -> LedgerChain:
        return LedgerChain(self.path.parent / "test.key" / "under-a-file.db", signer_of(self.path.parent), ARTIFACTS, 1)


class Anvil:
    def __init__(self, node: Node) -> None:
        self.node = node

    def chain(self) -> Web3Chain:
        return Web3Chain(self.node.url, KeySigner(), ARTIFACTS, receipt_timeout_s=5)

    def save(self) -> None:
        self.saved = self.node.ask("evm_snapshot")

    def go_back(self) -> None:
        assert self.node.ask("evm_revert", self.saved)

    def unreachable(self) -> Web3Chain:
        return Web3Chain("http://127.0.0.1:1", KeySigner(), ARTIFACTS)


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[Node]:
    try:
        node = Node(tmp_path_factory.mktemp("chain"))
    except AnvilMissing as error:
        pytest.skip(str(error))
    yield node
    node.kill()


@pytest.fixture(params=["memory", "anvil", "ledger"])
def world(request, tmp_path):
    if request.param == "ledger":
        return Paper(tmp_path)
    return Memory() if request.param == "memory" else Anvil(request.getfixturevalue("node"))


@pytest.fixture
async def chain(world):
    chain = world.chain()
    await chain.deploy()
    return chain


async def landed(chain, *submissions) -> list[Landed]:
    results = await chain.submit(submissions)
    assert all(isinstance(result, Landed) for result in results), results
    return results


async def refused(chain, submission) -> str:
    (result,) = await chain.submit([submission])
    assert isinstance(result, Reverted)
    return result.error


async def test_bootnodes_are_replaced_by_who_may_and_nobody_else(chain, world):
    if isinstance(chain, LedgerChain):
        with pytest.raises(ChainError, match="ledger keeps no bootnodes"):
            await chain.set_bootnodes([NODE])
        return
    await chain.set_bootnodes([NODE, NODE + "a"])
    assert (await chain.head()).bootnodes == (NODE, NODE + "a")
    await chain.set_bootnodes([NODE])
    assert (await chain.head()).bootnodes == (NODE,)
    guest = world.chain()
    guest.use(chain.contract)
    with pytest.raises(ChainError, match="OnlyBootnodeManager"):
        await guest.set_bootnodes([])
    await chain.set_bootnodes([])
    assert (await chain.head()).bootnodes == ()


async def to_round(chain, number: int) -> None:
    for _ in range(number):
        await chain.advance()


async def test_a_new_contract_is_in_round_0_and_its_founder_leads(chain, world):
    head = await chain.head()
    assert (head.round, head.stage, head.stages, head.bootnodes, head.forgot) == (0, 0, 1, (), False)
    assert head.chain_id == 685685
    assert await chain.may_advance()
    guest = world.chain()
    guest.use(chain.contract)
    assert not await guest.may_advance()
    assert [await guest.owned_by(account) for account in (chain.account, guest.account)] == [True, False]
    with pytest.raises(ChainError, match="OnlyStageManager"):
        await guest.advance()


async def test_an_advance_opens_the_next_round(chain):
    before = await chain.head()
    await chain.advance()
    after = await chain.head()
    assert (after.round, after.stage) == (1, 0)
    assert after.block > before.block
    assert not after.forgot


async def test_its_owner_sets_a_clock_by_which_anybody_ends_a_stage_once(chain, world):
    if isinstance(chain, LedgerChain):
        with pytest.raises(ChainError, match="ledger has no clock"):
            await chain.set_clock(60)
        assert not await chain.advance_if_due()
        assert ((await chain.head()).stage_s, (await chain.head()).due_at) == (None, None)
        return
    guest = world.chain()
    guest.use(chain.contract)
    assert ((await chain.head()).stage_s, (await chain.head()).due_at) == (0, None)
    assert not await guest.advance_if_due()
    with pytest.raises(ChainError, match="OnlyOwner"):
        await guest.set_clock(1)
    await chain.set_clock(1)
    head = await guest.head()
    assert (head.stage_s, head.round) == (1, 0)
    assert abs(head.due_at - time.time() - 1) < 2  # a block's time has no fractions
    await asyncio.sleep(1.3)
    assert sorted(await asyncio.gather(chain.advance_if_due(), guest.advance_if_due())) == [False, True]
    assert not await guest.advance_if_due()
    assert (await chain.head()).round == 1
    await chain.set_clock(0)
    await asyncio.sleep(1.3)
    assert not await guest.advance_if_due()
    assert ((await guest.head()).stage_s, (await guest.head()).due_at) == (0, None)


async def test_its_owner_sets_how_many_stages_a_round_has_and_nobody_else(chain, world):
    await chain.set_stages(3)
    places = []
    for _ in range(4):
        head = await chain.head()
        places.append((head.round, head.stage, head.stages))
        await chain.advance()
    assert places == [(0, 0, 3), (0, 1, 3), (0, 2, 3), (1, 0, 3)]
    guest = world.chain()
    guest.use(chain.contract)
    with pytest.raises(ChainError, match="OnlyOwner"):
        await guest.set_stages(1)


async def test_submissions_land_and_say_where(chain):
    registration, reward = Registration(peer_id=A), Reward(peer_id=A, round=0, stage=0, points=-438)
    vote = Winners(peer_id=A, round=0, winners=(A, B))
    assert await chain.holds([registration, reward, vote]) == [False, False, False]
    first = await landed(chain, registration)
    rest = await landed(chain, reward, vote)
    assert await chain.holds([registration, reward, vote]) == [True, True, True]
    assert await chain.find([registration, reward, vote]) == [*first, *rest]
    blocks = [one.block for one in (*first, *rest)]
    assert blocks == sorted(blocks)
    assert all(one.transaction.startswith("0x") and len(one.transaction) == 66 for one in rest)


async def test_both_signs_and_the_largest_rewards_land(chain):
    await landed(chain, Registration(peer_id=A))
    await to_round(chain, 3)
    extremes = (0, 5, -(2**63), 2**63 - 1)
    await landed(chain, *(Reward(peer_id=A, round=n, stage=0, points=p) for n, p in enumerate(extremes)))


async def test_what_is_settled_cannot_be_settled_again(chain):
    reward, vote = Reward(peer_id=A, round=0, stage=0, points=1), Winners(peer_id=A, round=0, winners=(B,))
    await landed(chain, Registration(peer_id=A))
    await landed(chain, reward, vote)
    assert await refused(chain, Registration(peer_id=A)) == "PeerIdAlreadyRegistered"
    assert await refused(chain, reward.model_copy(update={"points": 9})) == "RewardAlreadySubmitted"
    assert await refused(chain, vote.model_copy(update={"winners": (C,)})) == "WinnerAlreadyVoted"


async def test_refusals_come_by_name(chain):
    assert await refused(chain, Reward(peer_id=A, round=0, stage=0, points=1)) == "InvalidVoterPeerId"
    await landed(chain, Registration(peer_id=A))
    assert await refused(chain, Reward(peer_id=A, round=9, stage=0, points=1)) == "InvalidRoundNumber"
    assert await refused(chain, Reward(peer_id=A, round=0, stage=4, points=1)) == "InvalidStageNumber"
    assert await refused(chain, Winners(peer_id=A, round=9, winners=(B,))) == "InvalidRoundNumber"
    assert await refused(chain, Winners(peer_id=A, round=0, winners=(B, B))) == "InvalidVote"


async def test_a_refusal_holds_nothing_else_of_its_batch_up(chain):
    await landed(chain, Registration(peer_id=A))
    good, late = Reward(peer_id=A, round=0, stage=0, points=1), Reward(peer_id=A, round=4, stage=0, points=1)
    vote = Winners(peer_id=A, round=0, winners=(B,))
    first, second, third = await chain.submit([late, good, vote])
    assert first == Reverted("InvalidRoundNumber")
    assert isinstance(second, Landed)
    assert isinstance(third, Landed)


async def test_a_strangers_peer_is_not_ours(chain, world):
    guest = world.chain()
    guest.use(chain.contract)
    reward = Reward(peer_id=A, round=0, stage=0, points=1)
    await landed(guest, Registration(peer_id=A))
    await landed(guest, reward)
    assert await chain.owners([A, B]) == ["stranger", "nobody"]
    assert await guest.owners([A]) == ["us"]
    assert await chain.owners([]) == []
    assert await chain.holds([reward, Registration(peer_id=A)]) == [False, False]
    assert await refused(chain, Registration(peer_id=A)) == "PeerIdAlreadyRegistered"


async def test_voters_of_a_round_are_seen_whoever_sent_them(chain, world):
    guest = world.chain()
    guest.use(chain.contract)
    await landed(chain, Registration(peer_id=A))
    await landed(guest, Registration(peer_id=B))
    await landed(chain, Winners(peer_id=A, round=0, winners=(B,)), Reward(peer_id=A, round=0, stage=0, points=1))
    await chain.head()
    assert await chain.voters(0) == {A}
    await landed(guest, Winners(peer_id=B, round=0, winners=(B,)))
    await chain.head()
    assert await chain.voters(0) == {A, B}
    assert await chain.voters(1) == frozenset()
    assert await chain.rewarded(0, 0) == {A}


async def test_the_history_holds_everybodys_submissions_in_order_and_goes_on_where_it_was(chain, world):
    guest = world.chain()
    guest.use(chain.contract)
    first = [Registration(peer_id=A), Reward(peer_id=A, round=0, stage=0, points=-438)]
    for one in first:
        await landed(chain, one)
    vote = Winners(peer_id=B, round=0, winners=(A, B))
    await landed(guest, Registration(peer_id=B))
    (where,) = await landed(guest, vote)
    chapter = await chain.history(None, 10_000)
    assert [one.submission for one in chapter.recorded] == [*first, Registration(peer_id=B), vote]
    accounts = [one.account for one in chapter.recorded]
    assert accounts == [account.lower() for account in (chain.account, chain.account, guest.account, guest.account)]
    assert (chapter.recorded[-1].transaction, chapter.recorded[-1].block) == (where.transaction, where.block)
    assert (chapter.complete, chapter.skipped, chapter.place.block) == (True, 0, (await chain.head()).block)
    again = await chain.history(chapter.place, 10_000)
    assert (again.recorded, again.complete, again.place) == ((), True, chapter.place)
    await landed(chain, Winners(peer_id=A, round=0, winners=(A,)))
    assert [one.key for one in (await chain.history(chapter.place, 10_000)).recorded] == [f"winners:0:{A}"]


async def test_the_history_comes_in_parts_of_bounded_length(chain):
    await landed(chain, Registration(peer_id=A))
    await to_round(chain, 3)
    await landed(chain, Reward(peer_id=A, round=0, stage=0, points=1))
    place, found, parts = None, [], 0
    while True:
        chapter = await chain.history(place, 2)
        before, place, parts = place, chapter.place, parts + 1
        assert before is None or place.block <= before.block + 2
        found += [one.key for one in chapter.recorded]
        if chapter.complete:
            break
    assert found == [f"registration:{A}", f"reward:0:0:{A}"]
    assert parts >= 3


async def test_a_history_says_when_its_place_is_not_on_the_chain_any_more(chain, world):
    await landed(chain, Registration(peer_id=A))
    before = (await chain.history(None, 10_000)).place
    world.save()
    await landed(chain, Reward(peer_id=A, round=0, stage=0, points=1))
    lost = (await chain.history(before, 10_000)).place
    world.go_back()
    assert await chain.history(lost, 10_000) is None
    await chain.head()
    await landed(chain, Winners(peer_id=A, round=0, winners=(A,)))
    assert await chain.history(lost, 10_000) is None
    assert [one.key for one in (await chain.history(before, 10_000)).recorded] == [f"winners:0:{A}"]


async def test_advances_and_batches_at_once_do_not_disturb_each_other(chain):
    await landed(chain, Registration(peer_id=A))
    await to_round(chain, 60)
    rewards = [Reward(peer_id=A, round=number, stage=0, points=number) for number in range(60)]
    _, results, _ = await asyncio.gather(chain.advance(), chain.submit(rewards), chain.advance())
    assert all(isinstance(result, Landed) for result in results)
    assert all(await chain.holds(rewards))
    assert await chain.find(rewards) == results
    assert (await chain.head()).round == 62


async def test_of_many_rewards_each_is_taken_or_refused_for_itself(chain, world):
    guest = world.chain()
    guest.use(chain.contract)
    await landed(guest, Registration(peer_id=C))
    await landed(chain, Registration(peer_id=A), Registration(peer_id=B))
    await to_round(chain, 3)
    before = Reward(peer_id=A, round=0, stage=0, points=7)
    await landed(chain, before)
    good = [Reward(peer_id=peer, round=number, stage=0, points=-number) for number in (1, 2) for peer in (A, B)]
    bad = [before, Reward(peer_id=C, round=0, stage=0, points=1), Reward(peer_id=A, round=9, stage=0, points=1)]
    bad.append(Reward(peer_id=B, round=3, stage=1, points=1))
    vote = Winners(peer_id=B, round=0, winners=(A,))
    results = await chain.submit([*bad[:2], *good[:3], vote, *bad[2:], good[3]])
    names = [one.error if isinstance(one, Reverted) else "" for one in results]
    already, strangers = "RewardAlreadySubmitted", "InvalidVoterPeerId"
    assert names == [already, strangers, "", "", "", "", "InvalidRoundNumber", "InvalidStageNumber", ""]
    assert await chain.find([*good, vote]) == [*results[2:5], results[8], results[5]]
    assert [one.error for one in await chain.submit(good)] == [already] * 4
    told = [one.submission for one in (await chain.history(None, 10_000)).recorded]
    assert sorted(one.key for one in told if isinstance(one, Reward)) == sorted(one.key for one in [before, *good])


async def test_an_empty_batch_is_no_transaction(chain):
    before = await chain.head()
    assert await chain.submit([]) == []
    assert await chain.holds([]) == []
    assert (await chain.head()).block == before.block


async def test_a_chain_that_went_back_says_so_once_and_takes_submissions_again(chain, world):
    await landed(chain, Registration(peer_id=A))
    await chain.head()
    world.save()
    reward = Reward(peer_id=A, round=0, stage=0, points=1)
    await landed(chain, reward)
    world.go_back()
    assert (await chain.head()).forgot
    assert not (await chain.head()).forgot
    assert await chain.holds([reward]) == [False]
    await landed(chain, reward)


async def test_blocks_lost_right_after_they_were_mined_are_missed_too(chain, world):
    await landed(chain, Registration(peer_id=A))
    await chain.head()
    world.save()
    await landed(chain, Reward(peer_id=A, round=0, stage=0, points=1))  # no look between this and the loss
    world.go_back()
    assert (await chain.head()).forgot


async def test_an_address_without_code_is_no_contract(chain):
    chain.use(NOWHERE)
    with pytest.raises(ContractMissing, match="no contract at"):
        await chain.head()
    with pytest.raises(ContractMissing):
        await chain.holds([Registration(peer_id=A)])
    with pytest.raises(ContractMissing):
        await chain.submit([Registration(peer_id=A)])


async def test_a_chain_without_a_contract_yet_says_so(world):
    with pytest.raises(ContractMissing):
        await world.chain().head()


async def test_a_chain_that_does_not_answer_is_down(world):
    chain = world.unreachable()
    chain.use(NOWHERE)
    for question in (chain.head, chain.may_advance, chain.advance, chain.deploy):
        with pytest.raises(ChainDown):
            await question()
    with pytest.raises(ChainDown):
        await chain.submit([Registration(peer_id=A)])


def owned_on(chain):
    if chain.owned is None:
        assert isinstance(chain, LedgerChain)
        pytest.skip("a ledger has no other accounts")
    return chain.owned


async def test_an_owner_keeps_a_list_of_who_takes_part_and_nobody_else_does(chain, world):
    owned, guest = owned_on(chain), world.chain()
    assert await owned.listing() == Listing(only=False, accounts=())
    await owned.list_accounts([guest.account, chain.account], listed=True)
    hash_ = await owned.only_listed(True)
    assert hash_.startswith("0x")
    assert len(hash_) == 66
    listing = await owned.listing()
    assert (listing.only, {one.lower() for one in listing.accounts}) == (
        True,
        {guest.account.lower(), chain.account.lower()},
    )
    await owned.list_accounts([guest.account], listed=False)
    await owned.only_listed(False)
    assert [one.lower() for one in (await owned.listing()).accounts] == [chain.account.lower()]
    guest.use(chain.contract)
    for refused in (guest.owned.list_accounts([guest.account], listed=True), guest.owned.only_listed(False)):
        with pytest.raises(ChainError, match="OnlyOwner"):
            await refused


async def test_roles_are_given_and_taken_by_owners_and_the_last_owner_stays(chain, world):
    owned, heir = owned_on(chain), world.chain()
    heir.use(chain.contract)
    with pytest.raises(ChainError, match="LastOwner"):
        await owned.revoke("OWNER_ROLE", chain.account)
    with pytest.raises(ChainError, match="OnlyOwner"):
        await heir.owned.grant("OWNER_ROLE", heir.account)
    for role in ROLES:
        await owned.grant(role, heir.account)
    assert await owned.roles(heir.account) == frozenset(ROLES)
    assert await heir.may_advance()
    for role in reversed(ROLES):
        await owned.revoke(role, chain.account)
    assert await owned.roles(chain.account) == frozenset()
    assert not await chain.may_advance()
    assert not await chain.owned_by(chain.account)
