"""A small swarm on one machine, of real p2pd processes: households that run the service, and strangers that do not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from google.protobuf.wrappers_pb2 import BytesValue
from hivemind.dht import DHTNode

from services.p2p.network.identities import Identity
from services.p2p.network.node import BODY
from services.p2p.service import run
from services.p2p.wire.announcement import sign
from services.p2p.wire.buckets import Place
from services.p2p.wire.packing import pack
from services.p2p.wire.validation import body_of
from shared.health import Health
from shared.messages import Rollouts, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.streams import ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS
from tests.p2p_kit import SWARM, announcement_of, identity, rollouts_of, settings_of, until


class Household:
    """The service, in this process, on a queue in memory."""

    def __init__(self, folder: Path, **changes) -> None:
        self.settings = settings_of(folder, **changes)
        self.queue, self.store = MemoryQueue(), MemoryStore()
        for index in range(self.settings.peers):  # the session's keys, so that no test waits for new ones
            path = self.settings.identity_of(index)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(identity(f"{folder.name}-{index}").path.read_bytes())
        self._begin()

    def _begin(self) -> None:
        self.context = Context(self.queue, self.store, Health("p2p", "one", 60))
        self.task: asyncio.Task | None = None

    async def start(self) -> Household:
        self.task = asyncio.create_task(run(self.settings, self.context))
        await until(lambda: "addresses" in self.facts or self.task.done(), 15)
        if self.task.done():
            self.task.result()
        return self

    async def stop(self) -> None:
        if self.task is not None:
            self.context.stop.set()
            await asyncio.wait_for(self.task, 15)

    async def restart(self) -> None:
        await self.stop()
        self._begin()
        await self.start()

    async def __aenter__(self) -> Household:
        return await self.start()

    async def __aexit__(self, *_) -> None:
        await self.stop()

    @property
    def facts(self) -> dict:
        return self.context.health.facts

    @property
    def degraded(self) -> dict:
        return self.context.health.state()["degraded"]

    @property
    def peers(self) -> list[str]:
        return self.facts["peers"].split()

    @property
    def addresses(self) -> list[str]:
        return self.facts["addresses"].split()

    def daemons(self) -> list[int]:
        """Process ids of its p2pds."""
        return [int(pid) for pid in json.loads((self.settings.state_dir / "p2p" / "daemons.json").read_text())]

    def sockets(self) -> list[str]:
        """Where its p2pds are spoken to."""
        return [at for _, at in json.loads((self.settings.state_dir / "p2p" / "daemons.json").read_text()).values()]

    async def open_round(self, number: int = 1, *, seconds: float = 60.0, final: bool = False) -> None:
        now = time.time()
        await self.queue.publish(
            ROUNDS, Round(number=number, stage=0, opened_at=now, deadline=now + seconds, final=final)
        )

    async def sample(self, *rollouts: Rollouts) -> None:
        for one in rollouts:
            await self.queue.publish(ROLLOUTS_LOCAL, one)

    async def arrived(self, number: int = 1) -> set[str]:
        entries = await self.queue.read(ROLLOUTS_PEER)
        return {entry.message.peer_id for entry in entries if entry.message.round == number}

    async def wait_for(self, peers: set[str], number: int = 1, seconds: float = 12.0) -> None:
        end = time.monotonic() + seconds
        while not peers <= await self.arrived(number):
            assert time.monotonic() < end, f"missing {peers - await self.arrived(number)}; {self.degraded}"
            await asyncio.sleep(0.02)


class Stranger:
    """A bare hivemind node that writes what it likes and answers what it likes."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.identity = identity(name)
        self.peer, self.port = self.identity.peer_id, port
        self.bodies: dict[str, bytes] = {}
        self.calls = 0

    async def start(self, *addresses: str) -> Stranger:
        self.node = await DHTNode.create(
            initial_peers=list(addresses) or None,
            identity_path=str(self.identity.path),
            host_maddrs=[f"/ip4/127.0.0.1/tcp/{self.port}"],
            check_if_identity_free=False,
            nat_port_map=False,
            auto_nat=False,
        )
        self.address = str((await self.node.get_visible_maddrs())[0])
        self.port = int(self.address.split("/")[4])
        await self.node.p2p.add_protobuf_handler(BODY, self._serve, BytesValue)
        return self

    async def _serve(self, request: BytesValue, _context) -> BytesValue:
        self.calls += 1
        return BytesValue(value=pack(self.bodies[request.value.hex()]))

    async def write(self, value, *, subkey=None, number: int = 1, expiration: float | None = None) -> bool:
        """A raw record; True if a holder took it."""
        where = {"subkey": self.peer if subkey is None else subkey} if subkey != "" else {}
        until_ = expiration or time.time() + 120
        return await asyncio.wait_for(self.node.store(Place(number, 0).key(SWARM), value, until_, **where), 10)

    async def announce(self, body: bytes, number: int = 1, *, author: Identity | None = None, **changes) -> bool:
        """A well-signed announcement of a body that it will serve."""
        author = author or self.identity
        told = announcement_of(author, body, number, **changes)
        self.bodies[told.sha256] = self.bodies.get(told.sha256, body)
        return await self.write(sign(told, author), subkey=author.peer_id, number=number, expiration=told.expires)

    async def sample(self, number: int = 1, text: str = "7") -> None:
        await self.announce(body_of(rollouts_of(self.peer, number, text=text)), number)

    @property
    def pid(self) -> int:
        return self.node.p2p._child.pid

    async def die(self) -> None:
        """Its process is killed."""
        if self.node.p2p._child.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
        self.node.is_alive = False
        await self.node.p2p.shutdown()

    async def __aenter__(self) -> Stranger:
        return self

    async def __aexit__(self, *_) -> None:
        await self.die()
