"""A real chain behind a bad line, and a coordinator that is cut off in the middle: every submission lands once."""

import asyncio
from random import Random

from services.coordinator.web3_chain import Web3Chain
from shared.messages import Registration, Reward, Winners
from shared.streams import SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, Node, eventually, settings_of, signer_of
from tests.integration.test_coordinator_chain import drained, reward_events, what
from tests.rpc_faults import FAULTS, BadLine

A, B, C = PEERS[:3]
ROUNDS_PLAYED = 40


async def test_a_bad_line_and_a_crash_lose_and_double_nothing(tmp_path, node: Node):
    await outage(tmp_path, node)


async def outage(tmp_path, node: Node, half_s: float = 0.0):
    """A coordinator is cut off; the chain is away for twice `half_s` seconds, with another crash in the middle."""
    straight = Web3Chain(node.url, signer_of(tmp_path), ARTIFACTS)
    await straight.deploy()
    for _ in range(ROUNDS_PLAYED):
        await straight.advance()
    contract = straight.contract
    settings = settings_of(tmp_path, leads="no").model_copy(update={"swarm_contract": contract, "batch": 20})
    household = Household(settings)
    wanted = [Registration(peer_id=peer) for peer in (A, B, C)]
    for number in range(ROUNDS_PLAYED):
        wanted += [Reward(peer_id=peer, round=number, stage=0, points=number) for peer in (A, B, C)]
        wanted.append(Winners(peer_id=A, round=number, winners=(B,)))
    async with BadLine(node.port, Random(5), one_in=10) as line:
        chain = Web3Chain(line.url, signer_of(tmp_path), ARTIFACTS, receipt_timeout_s=3)
        async with household.killed(chain):
            for submission in wanted[:80]:
                await household.queue.publish(SUBMISSIONS, submission)
            await household.until_settled(15, timeout_s=60)
        line.down = True  # away, while a new coordinator comes up and more waits for it
        between = Household(settings, household.queue, household.store)
        chain = Web3Chain(line.url, signer_of(tmp_path), ARTIFACTS, receipt_timeout_s=3)
        async with between.killed(chain) as context:
            for submission in wanted[80:]:
                await between.queue.publish(SUBMISSIONS, submission)
            await eventually(lambda: is_degraded(context), 20)
            await asyncio.sleep(half_s)
        again = Household(settings, household.queue, household.store)
        chain = Web3Chain(line.url, signer_of(tmp_path), ARTIFACTS, receipt_timeout_s=3)
        async with again.running(chain) as context:
            await eventually(lambda: is_degraded(context), 20)
            await asyncio.sleep(half_s)
            line.down = False
            await eventually(lambda: drained(again), 90)
            settled = await again.until_settled(len(wanted), timeout_s=60)
    assert {one.outcome for one in settled.values()} == {"landed"}
    assert set(settled) == {one.key for one in wanted}
    assert all(await straight.holds(wanted))
    events = reward_events(node, contract)
    assert len(events) == len({what(event) for event in events}) == 3 * ROUNDS_PLAYED
    assert await again.queue.dead(SUBMISSIONS) == []
    assert set(line.spoilt) == {"", *FAULTS}


async def is_degraded(context) -> bool:
    return "chain" in context.health.state()["degraded"]


async def test_answers_that_make_no_sense_bring_forth_no_second_contract(tmp_path, node: Node):
    household = Household(settings_of(tmp_path))
    async with BadLine(node.port, Random(3), one_in=10_000) as line:
        chain = Web3Chain(line.url, signer_of(tmp_path), ARTIFACTS, receipt_timeout_s=3)
        async with household.running(chain) as context:
            await eventually(lambda: is_known(context), 20)
            contract, line.one_in = chain.contract, 2
            await eventually(lambda: enough(line), 60)
            line.one_in = 10_000
            await eventually(lambda: is_well(context), 20)
    assert chain.contract == contract
    assert int(node.ask("eth_getTransactionCount", chain.account, "latest"), 16) == 2


async def is_known(context) -> bool:
    return "contract" in context.health.facts


async def enough(line: BadLine) -> bool:
    return all(line.spoilt[fault] >= 2 for fault in FAULTS)


async def is_well(context) -> bool:
    return "chain" not in context.health.state()["degraded"]
