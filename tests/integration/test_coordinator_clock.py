"""Rounds by the contract's clock, on a real chain: the founder's household dies, and the others go on."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.coordinator.web3_chain import Web3Chain
from shared.household import Pace, SwarmState, put_pace, swarm_state
from shared.messages import Registration, Winners
from shared.queue.redis import RedisStore, connect
from shared.streams import ROUNDS, SUBMISSIONS
from tests.coordinator_kit import (
    ARTIFACTS,
    PEERS,
    ROOT,
    Household,
    Identity,
    KeySigner,
    Node,
    eventually,
    settings_of,
    signer_of,
)

A, B = PEERS[:2]


@pytest.fixture
def found(tmp_path: Path, node: Node, redis_server) -> Iterator[Callable[[], subprocess.Popen]]:
    """Start the founder's identity, and then its coordinator as often as it is asked for."""
    folder = tmp_path / "founder"
    folder.mkdir()
    identity, started = Identity(folder, redis_server.url), list[subprocess.Popen]()

    def start() -> subprocess.Popen:
        given = {"REDIS_URL": redis_server.url, "STATE_DIR": str(folder), "CHAIN_URL": node.url, "HTTP_PORT": "0"}
        environment = {**os.environ, **given, **identity.told, "ROUND_MIN_S": "0.1"}
        started.append(subprocess.Popen([sys.executable, "-m", "services.coordinator"], cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
    identity.kill()


async def until(store, **wanted) -> SwarmState:
    async def there() -> SwarmState | None:
        state = await swarm_state(store)
        return state if state and all(getattr(state, name) == value for name, value in wanted.items()) else None

    return await eventually(there, 30)


async def round_of(household: Household) -> int:
    last = await household.queue.last(ROUNDS)
    return -1 if last is None else last.message.number


async def test_two_households_go_on_with_rounds_when_the_founders_coordinator_is_killed(
    tmp_path: Path, node: Node, redis_server, found: Callable[[], subprocess.Popen]
) -> None:
    client = connect(redis_server.url)
    store, process = RedisStore(client), found()
    founded = await until(store, leads=True)
    await put_pace(store, Pace(max_s=1.0))
    await until(store, clock_s=1)
    guests = []
    async with AsyncExitStack() as running:
        for name, peer in (("ann", A), ("bob", B)):
            settings = settings_of(tmp_path / name, max_s=1.0).model_copy(update={"swarm_contract": founded.contract})
            guests.append(Household(settings))
            await guests[-1].host(peer)
            chain = Web3Chain(node.url, signer_of(tmp_path / name), ARTIFACTS)
            await running.enter_async_context(guests[-1].running(chain))
            await guests[-1].queue.publish(SUBMISSIONS, Registration(peer_id=peer))
        process.kill()
        process.wait()
        begun = (await until(guests[0].store, leads=False, clock_s=1)).round

        async def play(household: Household, peer: str) -> None:
            """Vote in each of two rounds."""
            for number in range(begun, begun + 2):
                await eventually(lambda number=number: _reached(household, number), 30)
                await household.queue.publish(SUBMISSIONS, Winners(peer_id=peer, round=number, winners=(A,)))

        await asyncio.gather(play(guests[0], A), play(guests[1], B))
        await eventually(lambda: _reached(guests[1], begun + 2), 30)
        # The founder comes back, goes on where the others are, and pauses for all.
        found()
        await put_pace(store, Pace(max_s=1.0, paused=True))
        paused = await until(store, paused=True, clock_s=0)
        assert paused.round >= begun + 2
        await guests[0].queue.publish(SUBMISSIONS, Winners(peer_id=A, round=paused.round, winners=(A,)))
        await asyncio.sleep(3.2)
        assert (await until(guests[1].store, clock_s=0)).round == paused.round
        for guest in guests:
            assert {one.outcome for one in await guest.settled()} == {"landed"}
            numbers = [entry.message.number for entry in await guest.queue.read(ROUNDS)]
            assert numbers == sorted(numbers)
    await client.aclose()


async def _reached(household: Household, number: int) -> bool:
    return await round_of(household) >= number


async def test_of_twelve_households_whose_turn_comes_few_pay_for_nothing(node: Node) -> None:
    owner = Web3Chain(node.url, KeySigner(), ARTIFACTS)
    await owner.deploy()
    await owner.set_clock(1)
    await asyncio.sleep(1.2)
    chains = [Web3Chain(node.url, KeySigner(), ARTIFACTS) for _ in range(12)]
    for chain in chains:
        chain.use(str(owner.contract))
    ended = [await chain.advance_if_due() for chain in chains]
    assert ended == [True] + [False] * 11
    assert sum(int(node.ask("eth_getTransactionCount", chain.account, "latest"), 16) for chain in chains) == 1
    assert (await owner.head()).round == 1
