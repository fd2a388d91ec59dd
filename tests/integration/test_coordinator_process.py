"""The coordinator as the process it is, on a real Redis and a real chain."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from services.coordinator.audit import audit
from services.coordinator.web3_chain import Web3Chain
from shared.household import service_states, swarm_state
from shared.messages import Registration, Reward, Winners
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import LEDGER, ROUNDS, SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, ROOT, Identity, Node, eventually
from tests.integration.test_coordinator_chain import reward_events, what

A, B, C = PEERS[:3]


@pytest.fixture
def identity(tmp_path, redis_server) -> Iterator[Identity]:
    folder = tmp_path / "state"
    folder.mkdir()
    identity = Identity(folder, redis_server.url)
    yield identity
    identity.kill()


@pytest.fixture
def launch(tmp_path, node, redis_server, identity) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start a coordinator process; each is killed in the end."""
    started: list[subprocess.Popen] = []

    def launch(*settings: str, **variables: str) -> subprocess.Popen:
        given = {"REDIS_URL": redis_server.url, "STATE_DIR": str(tmp_path / "state"), "CHAIN_URL": node.url}
        environment = {**os.environ, **given, "HTTP_PORT": "0", "ROUND_MIN_S": "0.1", **identity.told, **variables}
        log = (tmp_path / "coordinator.log").open("ab")
        command = [sys.executable, "-m", "services.coordinator", *settings]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log))
        log.close()
        return started[-1]

    yield launch
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
async def queue(redis_server):
    queue = RedisQueue(connect(redis_server.url))
    yield queue
    await queue.close()


@pytest.fixture
async def store(redis_server):
    client = connect(redis_server.url)
    yield RedisStore(client)
    await client.aclose()


def sent(node: Node, account: str) -> int:
    return int(node.ask("eth_getTransactionCount", account, "latest"), 16)


async def ended(process: subprocess.Popen) -> int:
    return await asyncio.to_thread(process.wait, 15)


async def test_a_coordinator_killed_in_the_middle_of_batches_loses_and_doubles_nothing(
    node, identity, launch, queue, store
):
    chain = Web3Chain(node.url, await identity.signer(), ARTIFACTS)
    contract = await chain.deploy()
    for _ in range(66):
        await chain.advance()
    submissions = [Registration(peer_id=peer) for peer in (A, B, C)]
    submissions += [
        Reward(peer_id=peer, round=number, stage=stage, points=number)
        for number in range(66)
        for stage in (0, 1)
        for peer in (A, B, C)
    ]
    for submission in submissions:
        await queue.publish(SUBMISSIONS, submission)
    begun = sent(node, chain.account)
    told = {"SWARM_CONTRACT": contract, "LEAD_ROUNDS": "no"}
    for _ in range(2):
        process, mined = launch("batch=20", **told), sent(node, chain.account)
        await eventually(lambda mined=mined: reached(node, chain.account, mined + 5), 20)
        process.kill()
        assert await ended(process) == -9
        assert await queue.backlog(SUBMISSIONS) > 0
    launch("batch=20", **told)
    await eventually(lambda: drained(queue), 15)
    settled = {entry.message.key: entry.message for entry in await queue.read(LEDGER)}
    assert {one.outcome for one in settled.values()} == {"landed"}
    assert len(settled) == len(submissions)
    assert await queue.dead(SUBMISSIONS) == []
    assert all(await chain.holds(submissions))
    events = reward_events(node, contract)
    assert len(events) == len({what(event) for event in events}) == 396
    # Each transaction put something on the chain: none was sent in vain.
    assert sent(node, chain.account) - begun == len({one.transaction for one in settled.values()}) < 60
    await eventually(lambda: counted(store))


async def reached(node: Node, account: str, count: int) -> bool:
    return sent(node, account) >= count


async def drained(queue) -> bool:
    return await queue.backlog(SUBMISSIONS) == 0


async def counted(store) -> bool:
    state = await swarm_state(store)
    return state is not None and state.rewards_settled == 396


async def test_it_founds_a_swarm_serves_it_and_ends_when_told(tmp_path, identity, launch, queue, store):
    process = launch()
    opened = await eventually(lambda: queue.last(ROUNDS), 15)
    assert opened.message.number == 0
    state = await eventually(lambda: swarm_state(store))
    (service,) = await eventually(lambda: with_facts(store))
    assert service.facts["contract"] == state.contract
    process.terminate()
    assert await ended(process) == 0
    log = (tmp_path / "coordinator.log").read_text()
    assert f"SWARM_CONTRACT={state.contract}" in log
    assert identity.token.read_text() not in log
    assert [path.name for path in (tmp_path / "state" / "coordinator").iterdir()] == ["deployment.json"]
    # The next start goes on with the same contract.
    launch()
    await eventually(lambda: fresh(store, service.pid), 15)
    assert (await swarm_state(store)).contract == state.contract
    assert len(await queue.read(ROUNDS)) == 1


async def with_facts(store):
    return [one for one in await service_states(store) if "contract" in one.facts]


async def fresh(store, pid: int) -> bool:
    return any(one.pid != pid and "contract" in one.facts for one in await service_states(store))


async def test_without_a_chain_rounds_run_from_a_ledger_that_identity_signs(tmp_path, launch, queue, store):
    wanted = [Registration(peer_id=A), *(Reward(peer_id=A, round=0, stage=0, points=5) for _ in range(2))]
    wanted += [Reward(peer_id=B, round=0, stage=0, points=7), Winners(peer_id=A, round=0, winners=(A,))]
    process = launch(CHAIN_URL="ledger", LEAD_ROUNDS="no")
    await eventually(lambda: queue.last(ROUNDS), 15)
    for submission in wanted[:2]:
        await queue.publish(SUBMISSIONS, submission)
    await eventually(lambda: drained(queue), 15)
    process.kill()
    assert await ended(process) == -9
    for submission in wanted[1:]:
        await queue.publish(SUBMISSIONS, submission)
    process = launch(CHAIN_URL="ledger")
    await eventually(lambda: is_open(queue, 1), 20)  # it leads: A has voted in round 0
    state = await eventually(lambda: swarm_state(store))
    assert state.ledger
    assert state.contract in (tmp_path / "state" / "coordinator" / "deployment.json").read_text()
    process.terminate()
    assert await ended(process) == 0
    settled = {entry.message.key: entry.message for entry in await queue.read(LEDGER)}
    assert {key: one.outcome for key, one in settled.items()} == {
        f"registration:{A}": "landed",
        f"reward:0:0:{A}": "landed",
        f"winners:0:{A}": "landed",
    }  # B is nobody's yet, and waits
    count, accounts = audit(tmp_path / "state" / "coordinator" / "ledger.db")
    assert count >= 4
    assert accounts == {state.account}


async def is_open(queue, number: int) -> bool:
    last = await queue.last(ROUNDS)
    return last is not None and last.message.number >= number


async def test_an_address_without_code_ends_it_with_one_clear_line(tmp_path, launch):
    process = launch(SWARM_CONTRACT="0x" + "12" * 20)
    assert await ended(process) == 1
    (line,) = [line for line in (tmp_path / "coordinator.log").read_text().splitlines() if "ERROR" in line]
    assert "there is no contract at 0x1212" in line
    assert "SWARM_CONTRACT" in line


async def test_while_identity_is_away_rewards_wait_and_land_once_when_it_is_back(identity, node, launch, queue, store):
    launch()
    await eventually(lambda: queue.last(ROUNDS), 30)
    identity.kill()
    for submission in (Registration(peer_id=A), Reward(peer_id=A, round=0, stage=0, points=5)):
        await queue.publish(SUBMISSIONS, submission)
    await eventually(lambda: degraded(store), 15)
    assert await queue.read(LEDGER) == []
    identity.start()
    await eventually(lambda: drained(queue), 30)
    assert [entry.message.outcome for entry in await queue.read(LEDGER)] == ["landed", "landed"]


async def degraded(store) -> bool:
    return any("submissions" in one.degraded for one in await service_states(store) if one.service == "coordinator")
