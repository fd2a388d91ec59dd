"""The owner's orders, from the command line to a contract on anvil: the allow list, and another owner who leads."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from services.coordinator import clock
from services.coordinator.chain import ROLES
from services.coordinator.signer import OfAccount, RemoteSigner
from services.coordinator.web3_chain import Web3Chain
from services.identity import admin, owner
from services.identity.accounts.db import Database
from services.identity.accounts.vault import Vault
from services.identity.signing.api import build_signing
from services.identity.signing.book import Book
from services.identity.signing.heir import named_heir
from services.identity.signing.policy import load_code
from services.identity.signing.signer import Signatures
from shared.household import put_service_state, swarm_state
from shared.messages import Registration, Winners
from shared.orders import Order, give_order, orders
from shared.queue.redis import RedisStore, connect
from shared.streams import SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, Node, eventually, settings_of
from tests.identity_kit import state_of

A, B, C = PEERS[:3]


class Home:
    """A household: identity's key and its policy, a coordinator on a chain, and the command line of its owner."""

    def __init__(self, folder: Path, redis: str, number: int, chain_url: str, contract: str | None = None) -> None:
        self.folder, self.redis = folder, f"{redis[: redis.rindex('/')]}/{number}"
        self.database = Database(folder / "identity")
        vault = Vault(self.database, fast=True)
        vault.start("a long passphrase")

        def heir():
            return named_heir(folder / "identity", time.time())

        book, code = Book(self.database), load_code(ARTIFACTS)
        signatures = Signatures(vault, book, code, chain_id=685685, contract=contract, heir=heir)
        remote = RemoteSigner("http://identity", "token")
        remote._http._transport = httpx.ASGITransport(build_signing(vault, signatures, "token", None))
        self.account = str(vault.address)
        self.chain = Web3Chain(chain_url, OfAccount(remote, self.account), ARTIFACTS, receipt_timeout_s=5)
        self.client = connect(self.redis)
        settings = settings_of(folder).model_copy(update={"swarm_contract": contract})
        self.household = Household(settings, store=RedisStore(self.client))

    def running(self):
        return self.household.running(self.chain)

    async def command(self, *arguments: str) -> int:
        """`rlswarm ...`, as it runs for this household."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("REDIS_URL", self.redis)
            patch.setenv("STATE_DIR", str(self.folder))
            return await asyncio.to_thread(admin.main, arguments)

    async def leads(self) -> bool:
        state = await swarm_state(self.household.store)
        return state is not None and state.leads

    async def follows(self) -> bool:
        state = await swarm_state(self.household.store)
        return state is not None and not state.leads

    async def roles(self) -> set[str]:
        return set(await self.chain.owned.roles(self.account))


@pytest.fixture
async def homes(tmp_path, redis_url, anvil, monkeypatch):
    """Makes households on one chain; the first founds the swarm."""
    monkeypatch.setattr(clock, "ROLE_S", 0.3)
    made: list[Home] = []

    def make(chain_url: str = anvil.url) -> Home:
        contract = made[0].chain.contract if made else None
        made.append(Home(tmp_path / str(len(made)), redis_url, len(made), chain_url, contract))
        return made[-1]

    yield make
    for home in made:
        await home.client.aclose()
        home.database.close()


async def test_only_accounts_on_the_list_take_part_and_who_is_let_in_later_need_not_ask_again(homes, capsys):
    founder = homes()
    async with founder.running():
        await eventually(founder.leads)
        friend, other = homes(), homes()
        assert await founder.command("allow", friend.account, "--only-listed", "on") == 0
        said = capsys.readouterr().out
        assert f"{friend.account} is on the list now (0x" in said
        assert f"{founder.account} is on the list now (0x" in said  # or our own peers would be refused
        assert "only these accounts take part:" in said
        async with friend.running(), other.running():
            for home, peer in ((friend, A), (other, B)):
                await home.household.queue.publish(SUBMISSIONS, Registration(peer_id=peer))
            assert (await friend.household.until_settled(1))[f"registration:{A}"].outcome == "landed"
            assert await other.household.settled() == []
            before = await founder.chain.head()
            assert await founder.command("allow", friend.account, "--only-listed", "on") == 0
            assert " now (0x" not in capsys.readouterr().out
            assert (await founder.chain.head()).block == before.block, "nothing was to be sent"
            assert await founder.command("allow", other.account) == 0
            assert (await other.household.until_settled(1))[f"registration:{B}"].outcome == "landed"
        capsys.readouterr()
        assert await founder.command("disallow", friend.account) == 0
        assert f"{friend.account} is off the list now" in capsys.readouterr().out
        assert await founder.command("allow", "--only-listed", "off") == 0
        listed = capsys.readouterr().out.splitlines()
        assert listed[-3:] == [
            "everybody may take part; the list does not count:",
            *sorted((founder.account, other.account)),
        ]


async def test_the_heir_leads_the_rounds_and_who_handed_over_follows_and_can_come_back(homes, capsys):
    founder = homes()
    async with founder.running():
        await eventually(founder.leads)
        heir = homes()
        async with heir.running():
            await eventually(heir.follows)
            assert await founder.command("hand-over", heir.account, "--yes") == 0
            assert f"{heir.account} owns the swarm and leads its rounds" in capsys.readouterr().out
            assert await heir.roles() == set(ROLES)
            assert await founder.roles() == {"OWNER_ROLE", "BOOTNODE_MANAGER_ROLE"}
            await eventually(founder.follows)
            await eventually(heir.leads)
            await played(heir, 0)
            await eventually(lambda: reached(founder, 1))

            assert await founder.command("hand-over", heir.account, "--yes") == 0
            assert " now (0x" not in capsys.readouterr().out

            assert await heir.command("hand-over", founder.account, "--leave", "--yes") == 0
            assert "this household has no role" in capsys.readouterr().out
            assert (await founder.roles(), await heir.roles()) == (set(ROLES), set())
            await eventually(founder.leads)
            await eventually(heir.follows)
            await played(heir, 1)
            await eventually(lambda: reached(heir, 2))
            assert await heir.command("hand-over", founder.account, "--leave", "--yes") == 0, "it is done already"


async def played(home: Home, number: int) -> None:
    """A round, as the peer that this household hosts."""
    await home.household.host(C)
    if number == 0:
        await home.household.queue.publish(SUBMISSIONS, Registration(peer_id=C))
    await home.household.queue.publish(SUBMISSIONS, Winners(peer_id=C, round=number, winners=(C,)))


async def reached(home: Home, number: int) -> bool:
    state = await swarm_state(home.household.store)
    return state is not None and state.round == number


async def test_the_lead_is_taken_back_from_an_heir_that_does_not_turn_up(homes, capsys):
    founder = homes()
    async with founder.running():
        await eventually(founder.leads)
        heir = homes()
        assert await founder.command("hand-over", heir.account, "--yes") == 0
        await eventually(founder.follows)
        assert await founder.command("hand-over", founder.account, "--yes") == 0
        assert f"{founder.account} has STAGE_MANAGER_ROLE now (0x" in capsys.readouterr().out
        await eventually(founder.leads)
        assert await founder.roles() == set(ROLES)


async def test_who_does_not_own_the_swarm_is_told_so_and_changes_nothing(homes, capsys):
    founder = homes()
    async with founder.running():
        await eventually(founder.leads)
    guest = homes()
    async with guest.running():
        await eventually(guest.follows)
        for command in (("allow", guest.account), ("hand-over", guest.account, "--yes")):
            assert await guest.command(*command) == 1
            assert "does not own the swarm's contract. ask the swarm's owner" in capsys.readouterr().err
        assert await guest.command("allow") == 0
        assert capsys.readouterr().out.splitlines()[-1] == "(nobody)"
    assert await guest.roles() == set()


async def test_an_order_of_somebody_else_than_the_owner_on_this_machine_gives_no_role_away(homes):
    founder = homes()
    async with founder.running():
        await eventually(founder.leads)
        heir, store = homes(), founder.household.store
        order = Order(id="0" * 32, heir=heir.account, leave=True)  # as any service with Redis's password could write it
        answer = await owner.obeyed(store, order)
        assert "the owner hands over to nobody now" in answer.error
        assert await founder.roles() == set(ROLES)
        assert await founder.chain.owned.roles(heir.account) == frozenset()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0x" + "ab" * 20, "is no account with its checksum"),
        ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb9226", "is no account with its checksum"),
        ("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267", "is no account with its checksum"),
        ("0x" + "0" * 40, "is no account with its checksum"),
        ("meadow.eth", "is no account with its checksum"),
    ],
)
async def test_a_wrong_letter_in_an_address_is_noticed(homes, capsys, address, why):
    home = homes()
    for command in (("allow", address), ("disallow", address), ("hand-over", address, "--yes")):
        assert await home.command(*command) == 1
        assert why in capsys.readouterr().err
    assert await orders(home.household.store) == []


async def test_without_a_chain_a_coordinator_or_a_word_nothing_is_ordered(homes, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(owner, "STALE_S", 0.3)
    node = Node(tmp_path)
    founder = homes(node.url)
    store = founder.household.store
    async with founder.running() as context:
        await eventually(founder.leads)
        node.kill()
        await eventually(lambda: degraded(context))
        told = context.health.state()["degraded"]
        await put_service_state(store, state_of("coordinator", degraded=told))
        assert await founder.command("allow", founder.account) == 1
        assert "no chain answers" in capsys.readouterr().err
    assert await founder.command("hand-over", founder.account) == 1
    assert "say it with --yes" in capsys.readouterr().err
    await store.take("state:coordinator:one")
    assert await founder.command("allow", founder.account) == 1
    assert "no coordinator runs here" in capsys.readouterr().err
    assert await orders(store) == []


async def degraded(context) -> bool:
    return "chain" in context.health.state()["degraded"]


async def test_an_order_that_nobody_waits_for_lapses(homes):
    home = homes()
    await give_order(home.household.store, Order(id="1" * 32, allow=(home.account,)))
    assert 0 < await home.client.pttl("owner:order:" + "1" * 32) <= 120_000
