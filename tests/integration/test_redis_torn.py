"""A Redis that loses the end of its append-only file, or all of it, as in a power cut: the services make up for it.

Real Redis, real chain, real p2pd, real model; the services run in this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from services.coordinator.service import coordinate
from services.coordinator.web3_chain import Web3Chain
from services.p2p import service as p2p
from services.trainer import service as trainer
from services.trainer.learning.mixing import points
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.household import hosted_peers, leases, swarm_state
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.runtime import Context
from shared.settings import load
from shared.streams import LEDGER, ROUNDS
from tests.conftest import RedisServer
from tests.coordinator_kit import ARTIFACTS, Node, eventually, signer_of
from tests.coordinator_kit import settings_of as coordinator_settings
from tests.p2p_kit import identity
from tests.p2p_kit import settings_of as p2p_settings

REWARD_SUBMITTED = "0x3d9492e853616bfa85e7c758cbd89efdbe62254e78838c74c160192efa57f25f"
LAST = 12  # rounds


def cut(server: RedisServer, size: int | None) -> None:
    """Take `size` bytes off the end of what the stopped Redis has on disk; None: everything."""
    parts = server.folder / "appendonlydir"  # Redis 7 keeps its file in parts, and appends to the last one
    (file,) = [*sorted(parts.glob("*.incr.aof"))[-1:], *server.folder.glob("appendonly.aof")]
    if size is None:
        file.unlink()
        return
    kept = file.stat().st_size - size
    with file.open("r+b") as opened:
        opened.truncate(max(0, kept))


class Stack:
    """A household of one peer, each service on connections of its own."""

    def __init__(self, folder: Path, server: RedisServer, node: Node) -> None:
        self.folder, self.server, self.node = folder, server, node
        client = connect(server.url)
        self.queue, self.store = RedisQueue(client), RedisStore(client)
        self.settings = coordinator_settings(folder, max_rounds=LAST, max_s=3.0)
        self.chain = self._chain()

    def _chain(self) -> Web3Chain:
        return Web3Chain(self.node.url, signer_of(self.folder), ARTIFACTS, receipt_timeout_s=5)

    @asynccontextmanager
    async def running(self):
        """p2p, coordinator and trainer; their errors are raised at the end of the block."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            contexts = [await self._context(stack, name) for name in ("p2p", "coordinator", "trainer")]
            hosting = p2p_settings(self.folder, peers_max=1)
            hosting.identity_of(0).parent.mkdir(parents=True, exist_ok=True)
            if not hosting.identity_of(0).exists():
                hosting.identity_of(0).write_bytes(identity("torn").path.read_bytes())
            learning = load("trainer", TrainerSettings, [f"state_dir={self.folder}", "exchange_patience_s=0.5"])
            group.create_task(p2p.run(hosting, contexts[0]))
            group.create_task(coordinate(self.settings, contexts[1], self.chain))
            self.training = group.create_task(trainer.run(learning, contexts[2]))
            try:
                yield
            finally:
                for context in contexts:
                    context.stop.set()

    async def _context(self, stack: AsyncExitStack, name: str) -> Context:
        client = connect(self.server.url)
        stack.push_async_callback(client.aclose)
        return Context(RedisQueue(client, claim_s=2), RedisStore(client), Health(name, "one", 60))

    async def round(self, number: int) -> None:
        """Wait until this round is open."""

        async def there() -> bool:
            last = await self.queue.last(ROUNDS)
            return last is not None and last.message.number >= number

        await eventually(there, 40)

    def rewards(self) -> list[tuple[int, int]]:
        """(round, points) of every reward on the chain, read from its events."""
        asked = {"fromBlock": "0x0", "address": self.chain.contract, "topics": [REWARD_SUBMITTED]}
        logs = self.node.ask("eth_getLogs", asked)
        return sorted((int(log["topics"][2], 16), int(log["data"][2:66], 16)) for log in logs)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


async def has_earned(caplog: pytest.LogCaptureFixture, number: int) -> bool:
    return any(played >= number for played, _ in earned(caplog))


def earned(caplog: pytest.LogCaptureFixture) -> list[tuple[int, int]]:
    """(round, points) of every round whose end the trainer logged."""
    records = [record for record in caplog.records if record.name == "services.trainer.report"]
    return sorted((record.args[0], points(record.args[2])) for record in records)


@pytest.mark.parametrize("size", [150, 1_500, 6_000, 20_000, None], ids=str)
async def test_no_reward_is_missing_or_doubled_when_redis_loses_its_end(tmp_path, server, node, caplog, size):
    caplog.set_level(logging.INFO)
    stack = Stack(tmp_path / "state", server, node)
    async with stack.running():
        for number in (2, 4, 6, 8):
            await stack.round(number)
            if away := number > 4:  # the round's reward and vote wait for the chain, and are in the queue only
                node.kill()
                await eventually(lambda number=number: has_earned(caplog, number), 20)
            await asyncio.sleep(0.11 * number)  # now here, now there in the round
            server.kill()
            cut(server, size)
            server.start()
            if away:
                node.start()
        await asyncio.wait_for(asyncio.shield(stack.training), 60)

        async def finished() -> bool:
            state = await swarm_state(stack.store)
            return state is not None and state.finished

        await eventually(finished, 40)
        rewards, told = stack.rewards(), earned(caplog)
        assert [number for number, _ in rewards] == sorted({number for number, _ in rewards}), "doubled"
        assert set(told) <= set(rewards), "missing"
        assert len(set(told)) == len(told) >= LAST - 4  # a round that was cut into may have gone by
        if size is not None:
            state = await swarm_state(stack.store)
            ledger = {entry.message.key for entry in await stack.queue.read(LEDGER, limit=10_000)}
            assert {f"reward:{number}:0:{identity('torn').peer_id}" for number, _ in rewards} <= ledger
            assert state.rewards_settled == len(rewards)
        assert await hosted_peers(stack.store) == [identity("torn").peer_id]
    assert await leases(stack.store) == {}
    await stack.queue.close()
