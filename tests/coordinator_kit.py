"""Real parts for the coordinator's tests: a chain that can be killed, and a coordinator that runs in this process."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from eth_account import Account as Keys
from eth_account.signers.local import LocalAccount

from services.chain.anvil import anvil_command
from services.chain.state import prepare_state
from services.coordinator.chain import Chain
from services.coordinator.service import coordinate
from services.coordinator.settings import ClockSettings, CoordinatorSettings
from services.coordinator.signer import Account, OfAccount, RemoteSigner, Signed, SignerError
from services.local.anvil import find_anvil
from shared.health import Health
from shared.household import LEASE, LEASE_TTL_S, put_hosted_peers
from shared.messages import Settled
from shared.queue import Queue, Store
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.secret import ensure_secret
from shared.streams import LEDGER
from tests.conftest import free_port

ROOT = Path(__file__).parents[1]
ARTIFACTS = ROOT / "contracts" / "artifacts"
PEERS = ["Qm" + letter * 44 for letter in "abcdefgh"]


class KeySigner:
    """Signs with a key at hand, as identity does; `refuses` says why it does not."""

    def __init__(self, key: str = "") -> None:
        self._account: LocalAccount = Keys.from_key(key) if key else Keys.create()
        self.address = str(self._account.address)
        self.refuses = ""
        self.signed = 0

    async def sign(self, transactions) -> list[Signed]:
        if self.refuses:
            raise SignerError(self.refuses, "log in")
        done = [self._account.sign_transaction(fields) for fields in transactions]
        self.signed += len(done)
        return [Signed("0x" + bytes(one.raw_transaction).hex(), "0x" + bytes(one.hash).hex()) for one in done]


def signer_of(folder: Path) -> KeySigner:
    """The same account for the same folder."""
    path = folder / "test.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("0x" + secrets.token_hex(32))
    return KeySigner(path.read_text())


class Identity:
    """Identity as the process it is, which signs for the coordinator."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder, self.port, self.page_port = folder, free_port(), free_port()
        self.token, self.passphrase = folder / "signing", folder / "passphrase"
        for secret in (self.token, self.passphrase):
            ensure_secret(secret)
        self.told = {"SIGNER_URL": f"http://127.0.0.1:{self.port}", "SIGNING_TOKEN_FILE": str(self.token)}
        own = {
            "SIGNER_PORT": str(self.port),
            "IDENTITY_PORT": str(self.page_port),
            "HTTP_PORT": "0",
            "REDIS_URL": redis_url,
        }
        own |= {"STATE_DIR": str(folder), "IDENTITY_PASSPHRASE_FILE": str(self.passphrase)}
        self.environment = {**os.environ, **self.told, **own}
        self.start()

    def start(self) -> None:
        with (self.folder / "identity.log").open("ab") as log:
            command = [sys.executable, "-m", "services.identity"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def signer(self) -> OfAccount:
        """The account, once the process answers."""
        remote = RemoteSigner(self.told["SIGNER_URL"], self.token.read_text())

        async def ready() -> Account | None:
            with suppress(SignerError):
                return await remote.account()
            return None

        return OfAccount(remote, (await eventually(ready, 30)).address)


class Node:
    """One anvil, with more options if given; raises AnvilMissing where there is none."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        self._binary = find_anvil(ROOT / ".cache")
        self.port, self.state = free_port(), folder / "chain.json"
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        prepare_state(self.state)
        command = anvil_command(self._binary, host="127.0.0.1", port=self.port, state=self.state)
        command += self._options
        self.process = subprocess.Popen(command)
        until = time.monotonic() + 15
        while True:
            try:
                self.ask("eth_chainId")
                return
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def ask(self, method: str, *arguments: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer).get("result")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def reset(self) -> None:
        """Begin the chain anew, with nothing on it."""
        self.kill()
        for file in self.state.parent.glob(self.state.name + "*"):
            file.unlink()
        self.start()


def settings_of(folder: Path, **clock: Any) -> CoordinatorSettings:
    rules = {"leads": "auto", "min_s": 0.05, "max_s": 20.0, "quorum": 1.0, "max_rounds": None, **clock}
    return CoordinatorSettings(
        swarm="test",
        redis_url="redis://127.0.0.1:1/0",
        state_dir=folder,
        http_host="127.0.0.1",
        http_port=0,
        instance="one",
        health_bound_s=60,
        log_level="INFO",
        chain_url="http://127.0.0.1:1",
        chain_id=685685,
        swarm_contract=None,
        artifacts=ARTIFACTS,
        signer_url="http://127.0.0.1:1",
        signing_token_file=None,
        clock=ClockSettings(**rules),
        poll_s=0.1,
        batch=50,
        receipt_timeout_s=10,
    )


class Household:
    """Queue, store and a coordinator on a chain, all in this process."""

    def __init__(self, settings: CoordinatorSettings, queue: Queue | None = None, store: Store | None = None) -> None:
        self.settings = settings
        self.queue, self.store = queue or MemoryQueue(), store or MemoryStore()

    @asynccontextmanager
    async def running(self, chain: Chain) -> AsyncIterator[Context]:
        """A coordinator, stopped at the end of the block; its error is raised there."""
        context = Context(self.queue, self.store, Health("coordinator", "one", 60))
        task = asyncio.create_task(coordinate(self.settings, context, chain))
        try:
            yield context
        finally:
            context.stop.set()
            await asyncio.wait_for(task, 15)

    @asynccontextmanager
    async def killed(self, chain: Chain) -> AsyncIterator[Context]:
        """A coordinator that is cut off at the end of the block, wherever it is."""
        context = Context(self.queue, self.store, Health("coordinator", "one", 60))
        task = asyncio.create_task(coordinate(self.settings, context, chain))
        try:
            yield context
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            if isinstance(self.queue, MemoryQueue):
                self.queue.restart("one")

    async def host(self, *peers: str) -> None:
        """Host these peers, each leased by a trainer."""
        await put_hosted_peers(self.store, list(peers))
        for peer in peers:
            await self.store.hold(LEASE + peer, "trainer", ttl_s=LEASE_TTL_S)

    async def settled(self) -> list[Settled]:
        return [entry.message for entry in await self.queue.read(LEDGER, limit=100_000)]

    async def until_settled(self, count: int, timeout_s: float = 15) -> dict[str, Settled]:
        """The settled submissions by key, once there are so many."""

        async def enough() -> dict[str, Settled] | None:
            found = {one.key: one for one in await self.settled()}
            return found if len(found) >= count else None

        return await eventually(enough, timeout_s)


async def eventually(question: Callable[[], Awaitable[Any]], timeout_s: float = 10) -> Any:
    """The first answer that is true."""
    until = time.monotonic() + timeout_s
    while not (answer := await question()):
        assert time.monotonic() < until, f"it never came: {question}"
        await asyncio.sleep(0.01)
    return answer
