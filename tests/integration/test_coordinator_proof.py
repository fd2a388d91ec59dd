"""A swarm that registers peers only with proof of their key: p2p signs, the coordinator registers, on a real chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.coordinator.web3_chain import Web3Chain
from services.p2p.network.proofs import Proofs
from shared.health import Health
from shared.messages import Registration, Reward
from shared.runtime import Context
from shared.streams import SUBMISSIONS
from tests.contract_kit import ask, do
from tests.coordinator_kit import ARTIFACTS, Household, eventually, settings_of, signer_of
from tests.p2p_kit import identity

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

PROOF_ONLY = (False, True, False, 0, 0, 0)


async def test_peers_are_proved_to_each_contract_that_wants_it(tmp_path: Path, deployed: Deployed) -> None:
    proxy = deployed.create("ERC1967Proxy", *_proxied(deployed))
    other = deployed.at(deployed.web3.eth.contract(address=proxy.address, abi=deployed.contract.abi))
    household, ann, signer = Household(settings_of(tmp_path)), identity("ann"), signer_of(tmp_path)
    proofs = Proofs(Context(household.queue, household.store, Health("p2p", "one", 60)))
    await household.host(ann.peer_id)
    for swarm in (deployed, other):
        do(swarm, swarm.owner, "setRules", PROOF_ONLY)
        settings = household.settings.model_copy(update={"swarm_contract": swarm.address})
        here = Household(settings, household.queue, household.store)
        async with here.running(Web3Chain(deployed.url, signer, ARTIFACTS)) as context:
            # As p2p sends it before it knows of any chain; and its first reward.
            await here.queue.publish(SUBMISSIONS, Registration(peer_id=ann.peer_id))
            await here.queue.publish(SUBMISSIONS, Reward(peer_id=ann.peer_id, round=0, stage=0, points=7))
            await eventually(lambda context=context: _waits(context))
            await proofs.look({ann.peer_id: ann})
            await eventually(lambda swarm=swarm: _owned(swarm, ann.peer_id, signer.address))
            await eventually(lambda here=here: _drained(here))
            assert "proof" not in context.health.state()["degraded"]
        assert ask(swarm, "getTotalRewards", [ann.peer_id]) == [7]
    assert {one.outcome for one in await household.settled()} == {"landed"}
    assert await household.queue.dead(SUBMISSIONS) == []


async def test_a_proof_that_nobody_wants_is_not_paid_for(tmp_path: Path, deployed: Deployed) -> None:
    settings = settings_of(tmp_path).model_copy(update={"swarm_contract": deployed.address})
    household, ann = Household(settings), identity("ann")
    async with household.running(Web3Chain(deployed.url, signer_of(tmp_path), ARTIFACTS)):
        await household.queue.publish(SUBMISSIONS, Registration(peer_id=ann.peer_id))
        (settled,) = (await household.until_settled(1)).values()
    sent = deployed.web3.eth.get_transaction(settled.transaction)
    assert bytes(sent["input"][:4]) == bytes(deployed.web3.keccak(text="registerPeer(string)")[:4])


def _proxied(deployed: Deployed) -> tuple[str, str]:
    """The arguments of a second proxy for the same code and owner."""
    implementation = deployed.create("SwarmCoordinator")
    return implementation.address, implementation.encode_abi("initialize", [deployed.owner.address])


async def _waits(context) -> bool:
    return "only with proof" in context.health.state()["degraded"].get("proof", "")


async def _owned(swarm: Deployed, peer: str, account: str) -> bool:
    return ask(swarm, "getEoa", [peer]) == [account]


async def _drained(household: Household) -> bool:
    return await household.queue.backlog(SUBMISSIONS) == 0
