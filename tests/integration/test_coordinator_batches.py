"""Rewards that share a transaction, on a real chain: how many, on which contracts, and what each comes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.coordinator.chain import ChainError, Landed
from services.coordinator.web3_chain import Web3Chain
from services.local.anvil import AnvilMissing
from shared.messages import Registration, Reward, Winners
from shared.streams import SUBMISSIONS
from tests.contract_kit import do
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, KeySigner, Node, eventually, settings_of, signer_of

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

A, B, C = PEERS[:3]
BEFORE = Path(__file__).parent / "before" / "SwarmCoordinator.json"
MANY = [f"Qm{first * 43}{last}" for first in "ab" for last in "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnop"]


def rewards(rounds: int, *peers: str) -> list[Reward]:
    return [
        Reward(peer_id=peer, round=number, stage=0, points=number - 7) for number in range(rounds) for peer in peers
    ]


async def on_round(chain: Web3Chain, number: int, *peers: str) -> None:
    await chain.deploy()
    await chain.submit([Registration(peer_id=peer) for peer in peers])
    for _ in range(number):
        await chain.advance()


def sent(node: Node, chain: Web3Chain) -> int:
    return int(node.ask("eth_getTransactionCount", chain.account, "latest"), 16)


async def test_120_rewards_take_3_transactions_and_one_alone_its_own(node: Node) -> None:
    chain = Web3Chain(node.url, KeySigner(), ARTIFACTS)
    await on_round(chain, 40, A, B, C)
    before = sent(node, chain)
    many = rewards(40, A, B, C)
    results = await chain.submit(many)
    assert all(isinstance(one, Landed) for one in results)
    assert (sent(node, chain) - before, len({one.transaction for one in results})) == (3, 3)
    assert await chain.find(many) == results
    await chain.submit([Reward(peer_id=A, round=40, stage=0, points=1), Winners(peer_id=A, round=40, winners=(B,))])
    assert sent(node, chain) - before == 5


async def test_more_batches_than_a_block_holds_land_in_one_go(node: Node) -> None:
    chain = Web3Chain(node.url, KeySigner(), ARTIFACTS, receipt_timeout_s=5)
    await on_round(chain, 1, A)
    await chain.set_stages(500)  # so many rewards may be claimed for the round that is over
    many = [Reward(peer_id=A, round=0, stage=stage, points=stage + 1) for stage in range(500)]
    results = await chain.submit(many)
    assert len({one.transaction for one in results}) == 10
    assert await chain.holds(many) == [True] * 500


async def test_a_contract_without_batches_gets_a_transaction_for_each(tmp_path: Path, node: Node) -> None:
    shutil.copy(BEFORE, tmp_path)
    shutil.copy(ARTIFACTS / "ERC1967Proxy.json", tmp_path)
    key = KeySigner()
    founder = Web3Chain(node.url, key, tmp_path)
    await on_round(founder, 4, A, B)
    chain = Web3Chain(node.url, key, ARTIFACTS)
    chain.use(str(founder.contract))
    before = sent(node, chain)
    results = await chain.submit(rewards(4, A, B))
    assert all(isinstance(one, Landed) for one in results)
    assert (sent(node, chain) - before, len({one.transaction for one in results})) == (8, 8)


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Node]:
    """A chain whose blocks hold the contract, and no 80 rewards."""
    try:
        node = Node(tmp_path, "--gas-limit", "6300000")
    except AnvilMissing as error:
        pytest.skip(str(error))
    yield node
    node.kill()


async def test_a_chain_with_small_blocks_gets_smaller_batches(narrow: Node) -> None:
    chain = Web3Chain(narrow.url, KeySigner(), ARTIFACTS, receipt_timeout_s=1, most=80)
    await on_round(chain, 80)
    for first in range(0, 80, 10):
        await chain.submit([Registration(peer_id=peer) for peer in MANY[first : first + 10]])
    # As dear as rewards are: each is its peer's first, and its round's.
    dear = [Reward(peer_id=peer, round=number, stage=0, points=7) for number, peer in enumerate(MANY)]
    left = dear
    with pytest.raises(ChainError):
        await chain.submit(left)
    for _ in range(4):
        left = [one for one, there in zip(left, await chain.holds(left), strict=True) if not there]
        with suppress(ChainError):
            await chain.submit(left)
    assert all(await chain.holds(dear))


async def test_a_batch_that_landed_before_a_crash_is_settled_with_its_transaction(tmp_path: Path, node: Node) -> None:
    chain = Web3Chain(node.url, signer_of(tmp_path), ARTIFACTS)
    await on_round(chain, 4, A, B)
    done, more = rewards(3, A, B), rewards(4, A, B)[6:]
    (landed, *_) = await chain.submit(done)
    before = sent(node, chain)
    settings = settings_of(tmp_path, leads="no").model_copy(update={"swarm_contract": chain.contract})
    household = Household(settings)
    for one in [*done, *more]:
        await household.queue.publish(SUBMISSIONS, one)
    async with household.running(Web3Chain(node.url, signer_of(tmp_path), ARTIFACTS)):
        settled = await household.until_settled(8)
    assert {settled[one.key].transaction for one in done} == {landed.transaction}
    assert {settled[one.key].outcome for one in more} == {"landed"}
    assert sent(node, chain) - before == 1


async def test_who_is_not_on_the_allow_list_waits_says_so_and_loses_nothing(tmp_path: Path, deployed: Deployed) -> None:
    do(deployed, deployed.owner, "setRules", (False, False, True, 0, 0, 0))
    settings = settings_of(tmp_path, leads="no").model_copy(update={"swarm_contract": deployed.address})
    household, signer = Household(settings), signer_of(tmp_path)
    async with household.running(Web3Chain(deployed.url, signer, ARTIFACTS)) as context:
        for one in (Registration(peer_id=A), *rewards(1, A)):
            await household.queue.publish(SUBMISSIONS, one)

        async def is_told() -> bool:
            return "allow list" in context.health.state()["degraded"].get("admission", "")

        await eventually(is_told)
        assert await household.settled() == []
        do(deployed, deployed.owner, "setListed", [signer.address], True)
        settled = await household.until_settled(2)
        assert {one.outcome for one in settled.values()} == {"landed"}
        assert "admission" not in context.health.state()["degraded"]
