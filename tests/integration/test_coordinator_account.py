"""The coordinator and the account that identity holds: not there yet, locked, another one."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from eth_account import Account

from services.coordinator import service
from services.identity.accounts.db import Database
from services.identity.accounts.keystore import FAST, encrypt
from services.identity.accounts.vault import Vault
from services.identity.server import server_of
from services.identity.signing.api import build_signing
from services.identity.signing.book import Book
from services.identity.signing.policy import load_code
from services.identity.signing.signer import Signatures
from shared.errors import SwarmError
from shared.health import Health
from shared.household import swarm_state
from shared.listening import listen
from shared.messages import Registration
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.streams import LEDGER, SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, eventually, settings_of

CHAIN_ID = 685685
PASSPHRASE = "a long passphrase"


@pytest.fixture
async def vault(tmp_path):
    """Identity's key, none yet, behind its signing API; `url` is where."""
    database = Database(tmp_path / "identity")
    vault = Vault(database, fast=True)
    signatures = Signatures(vault, Book(database), load_code(ARTIFACTS), chain_id=CHAIN_ID, contract=None)

    async def inviting(days):
        raise SwarmError("nobody is invited here", "ask another")

    app = build_signing(vault, signatures, "token", inviting)
    server, sock = server_of(app), listen("127.0.0.1", 0, "SIGNER_PORT")
    serving = asyncio.create_task(server.serve([sock]))
    vault.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    yield vault
    server.should_exit = True
    await serving


@pytest.fixture
def coordinator(tmp_path, node, vault, monkeypatch):
    """The whole service, in this process."""
    monkeypatch.setattr(service, "ASK_S", 0.2)
    (tmp_path / "token").write_text("token")
    changes = {"chain_url": node.url, "signer_url": vault.url, "signing_token_file": tmp_path / "token"}
    settings = settings_of(tmp_path).model_copy(update=changes)
    context = Context(MemoryQueue(), MemoryStore(), Health("coordinator", "one", 60))

    @asynccontextmanager
    async def running():
        task = asyncio.create_task(service.run(settings, context))
        yield context
        context.stop.set()
        await asyncio.wait_for(task, 15)

    return running


async def until_degraded(context, part, words):
    await eventually(lambda: told(context, part, words), 10)


async def told(context, part, words):
    return words in context.health.state()["degraded"].get(part, "")


async def test_without_an_account_it_waits_and_goes_on_when_somebody_signs_up(coordinator, vault):
    async with coordinator() as context:
        await context.queue.publish(SUBMISSIONS, Registration(peer_id=PEERS[0]))
        await until_degraded(context, "identity", "no account yet")
        assert await context.queue.read(LEDGER) == []
        vault.create("passphrase", PASSPHRASE)
        (landed,) = await eventually(lambda: context.queue.read(LEDGER), 15)
        assert landed.message.outcome == "landed"
        assert (await swarm_state(context.store)).account == vault.address
        assert context.health.state()["degraded"] == {}


async def test_with_a_locked_key_rewards_wait_and_land_after_the_login(coordinator, vault):
    vault.create("passphrase", PASSPHRASE)
    async with coordinator() as context:
        state = await eventually(lambda: swarm_state(context.store), 15)
        assert state.account == vault.address
        vault._account = None  # as after a restart
        await context.queue.publish(SUBMISSIONS, Registration(peer_id=PEERS[0]))
        await until_degraded(context, "identity", "logs in")
        await until_degraded(context, "submissions", "log in on the page")
        assert await context.queue.read(LEDGER) == []
        vault.unlock(PASSPHRASE)
        (landed,) = await eventually(lambda: context.queue.read(LEDGER), 15)
        assert landed.message.outcome == "landed"
        assert await context.queue.dead(SUBMISSIONS) == []


async def test_another_account_is_taken_up_without_a_restart(coordinator, vault):
    vault.create("passphrase", PASSPHRASE)
    async with coordinator() as context:
        await eventually(lambda: swarm_state(context.store), 15)
        moved = Account.create()
        vault.import_keystore(encrypt(moved, PASSPHRASE, FAST), PASSPHRASE, PASSPHRASE)
        await eventually(lambda: has_account(context, moved.address), 15)


async def has_account(context, address):
    return (await swarm_state(context.store)).account == address
