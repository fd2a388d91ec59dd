"""The coordinator on a real chain that is killed, reset, absent or the wrong one."""

import asyncio
import logging

from services.coordinator.books import Books
from services.coordinator.web3_chain import Web3Chain
from shared.household import swarm_state
from shared.messages import Registration, Reward, Winners
from shared.streams import ROUNDS, SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, Node, eventually, settings_of, signer_of

A, B, C = PEERS[:3]


def chain_of(node: Node, household: Household) -> Web3Chain:
    return Web3Chain(node.url, signer_of(household.settings.state_dir), ARTIFACTS, receipt_timeout_s=5)


async def reward(household: Household, number: int, *peers: str) -> None:
    for peer in peers:
        await household.queue.publish(SUBMISSIONS, Reward(peer_id=peer, round=number, stage=0, points=number - 7))


async def vote(household: Household, number: int, *peers: str) -> None:
    await reward(household, number, *peers)
    for peer in peers:
        await household.queue.publish(SUBMISSIONS, Winners(peer_id=peer, round=number, winners=(A, B)))


async def register(household: Household, *peers: str) -> None:
    for peer in peers:
        await household.queue.publish(SUBMISSIONS, Registration(peer_id=peer))


async def at_round(household: Household, number: int) -> bool:
    state = await swarm_state(household.store)
    return state is not None and state.round == number and await household.queue.backlog(SUBMISSIONS) == 0


async def drained(household: Household) -> bool:
    return await household.queue.backlog(SUBMISSIONS) == 0


def reward_events(node: Node, contract: str) -> list[dict]:
    topic = "0x3d9492e853616bfa85e7c758cbd89efdbe62254e78838c74c160192efa57f25f"  # RewardSubmitted
    return node.ask("eth_getLogs", {"fromBlock": "0x0", "address": contract, "topics": [topic]})


def what(event: dict) -> tuple[str, ...]:
    """Account, round, stage, and the peer in the data."""
    return (*event["topics"][1:], event["data"])


async def test_200_rewards_of_3_peers_land_exactly_once(tmp_path, node):
    household = Household(settings_of(tmp_path, min_s=20))
    chain = chain_of(node, household)
    async with household.running(chain):
        await register(household, A, B, C)
        await household.until_settled(3)
        for _ in range(66):
            await chain.advance()
        for number in range(67):
            await reward(household, number, A, B, C)
            await reward(household, number, A)  # delivered twice
        settled = await household.until_settled(204)
        await eventually(lambda: drained(household))
        await eventually(lambda: counted(household, 201))
    assert len(settled) == 204
    assert {one.outcome for one in settled.values()} == {"landed"}
    events = reward_events(node, chain.contract)
    assert len(events) == len({what(event) for event in events}) == 201
    assert {event["transactionHash"] for event in events} <= {one.transaction for one in settled.values()}


async def counted(household: Household, rewards: int) -> bool:
    state = await swarm_state(household.store)
    return state is not None and state.rewards_settled == rewards


async def test_whole_rounds_go_by_on_a_real_chain(tmp_path, node):
    household = Household(settings_of(tmp_path, max_rounds=4))
    await household.host(A, B)
    async with household.running(chain_of(node, household)):
        await register(household, A, B)
        for number in range(4):
            await eventually(lambda number=number: at_round(household, number))
            await vote(household, number, A, B)
        await eventually(lambda: finished(household))
    numbers = [entry.message.number for entry in await household.queue.read(ROUNDS)]
    assert numbers == [0, 1, 2, 3]
    state = await swarm_state(household.store)
    assert (state.registered_peers, state.rewards_settled, state.winners_settled) == (2, 8, 8)


async def finished(household: Household) -> bool:
    state = await swarm_state(household.store)
    return state is not None and state.finished


async def test_what_landed_before_a_crash_is_settled_with_its_real_transaction(tmp_path, node):
    household = Household(settings_of(tmp_path, min_s=20))
    chain = chain_of(node, household)
    await chain.deploy()
    settings = household.settings.model_copy(update={"swarm_contract": chain.contract})
    sent = [Reward(peer_id=A, round=0, stage=0, points=5), Winners(peer_id=A, round=0, winners=(B,))]
    (first,) = await chain.submit([Registration(peer_id=A)])
    rest = await chain.submit(sent)
    again = Household(settings, household.queue, household.store)
    async with again.running(chain_of(node, again)):
        for submission in (Registration(peer_id=A), *sent):
            await again.queue.publish(SUBMISSIONS, submission)
        settled = await again.until_settled(3)
    assert [(one.transaction, one.block) for one in settled.values()] == [
        (landed.transaction, landed.block) for landed in (first, *rest)
    ]
    # Two that deployed the contract and these three: nothing was sent again.
    assert int(node.ask("eth_getTransactionCount", chain.account, "latest"), 16) == 5


async def test_a_refused_vote_is_settled_by_its_errors_name(tmp_path, node):
    household = Household(settings_of(tmp_path))
    async with household.running(chain_of(node, household)):
        await register(household, A)
        await household.queue.publish(SUBMISSIONS, Winners(peer_id=A, round=0, winners=(B, B)))
        settled = await household.until_settled(2)
    refused = settled[f"winners:0:{A}"]
    assert (refused.outcome, refused.reason, refused.transaction) == ("refused", "InvalidVote", None)


async def test_a_killed_chain_that_comes_back_with_its_state_is_gone_on_with(tmp_path, node):
    household = Household(settings_of(tmp_path))
    await household.host(A, B)
    async with household.running(chain_of(node, household)) as context:
        await register(household, A, B)
        await vote(household, 0, A, B)
        await eventually(lambda: at_round(household, 1))
        await asyncio.sleep(1.5)  # anvil writes its state every second
        node.kill()
        await vote(household, 1, A, B)
        await eventually(lambda: is_degraded(context))
        node.start()
        await eventually(lambda: at_round(household, 2))
    assert len(await household.settled()) == 10
    assert await household.queue.dead(SUBMISSIONS) == []


async def is_degraded(context) -> bool:
    return "no chain answers" in context.health.state()["degraded"].get("chain", "")


async def test_what_a_killed_chain_had_not_written_is_sent_again(tmp_path, node, caplog):
    household = Household(settings_of(tmp_path))
    await household.host(A, B)
    caplog.set_level(logging.INFO)
    chain = chain_of(node, household)
    async with household.running(chain):
        await register(household, A, B)
        await vote(household, 0, A, B)
        await eventually(lambda: at_round(household, 1))
        await asyncio.sleep(1.5)
        saved = node.state.read_bytes()
        await vote(household, 1, A, B)
        await eventually(lambda: at_round(household, 2))
        node.kill()
        for file in node.state.parent.glob(node.state.name + "*"):
            file.write_bytes(saved)  # as if it had been killed within the second
        node.start()
        await eventually(lambda: forgotten(caplog))
        await eventually(lambda: at_round(household, 2))
        submissions = await Books(household.store, household.queue).recent()
        await eventually(lambda: all_held(chain, submissions))
        state = await swarm_state(household.store)
    assert len(submissions) == 10
    assert (state.round, state.rewards_settled, state.winners_settled) == (2, 4, 4)
    assert len(reward_events(node, chain.contract)) == 4


async def forgotten(caplog) -> bool:
    return "the chain forgot 4 of our last 10 submissions" in caplog.text


async def all_held(chain, submissions) -> bool:
    return all(await chain.holds(submissions))


async def test_a_chain_begun_anew_gets_the_contract_and_the_peers_again_and_it_is_said(tmp_path, node, caplog):
    household = Household(settings_of(tmp_path))
    await household.host(A, B)
    async with household.running(chain_of(node, household)):
        await register(household, A, B)
        await vote(household, 0, A, B)
        await eventually(lambda: at_round(household, 1))
        node.reset()
        await eventually(lambda: registered(household, 0))
        await vote(household, 0, A, B)
        await eventually(lambda: at_round(household, 1))
    assert "the chain was reset" in caplog.text
    assert "begins anew" in caplog.text
    state = await swarm_state(household.store)
    assert (state.registered_peers, state.rewards_settled) == (2, 2)


async def registered(household: Household, number: int) -> bool:
    state = await swarm_state(household.store)
    return state is not None and (state.round, state.registered_peers) == (number, 2)


async def test_a_chain_begun_anew_while_nobody_looked_is_noticed_at_the_start(tmp_path, node):
    household = Household(settings_of(tmp_path))
    await household.host(A, B)
    async with household.running(chain_of(node, household)):
        await register(household, A, B)
        await vote(household, 0, A, B)
        await eventually(lambda: at_round(household, 1))
    node.reset()
    async with household.running(chain_of(node, household)):
        await eventually(lambda: registered(household, 0))


async def test_a_chain_that_is_not_there_yet_is_waited_for(tmp_path, node):
    household = Household(settings_of(tmp_path))
    node.kill()
    async with household.running(chain_of(node, household)) as context:
        await register(household, A)
        await eventually(lambda: is_degraded(context))
        assert "CHAIN_URL" in context.health.state()["degraded"]["chain"]
        node.start()
        await household.until_settled(1)
        await eventually(lambda: is_well(context))


async def is_well(context) -> bool:
    return context.health.state()["status"] == "ok"
