"""A stock RL Swarm node's requests, as its REST client sends them, answered by the real page, coordinator and chain."""

import asyncio

import httpx
import pytest

from services.coordinator.web3_chain import Web3Chain
from services.identity.accounts.accounts import Accounts
from services.identity.app import build_app
from services.identity.board import Board
from services.identity.live import View
from services.identity.parts import Parts
from services.identity.settings import IdentitySettings
from services.identity.tail import tail
from services.identity.web import settling
from shared.health import Health
from shared.household import swarm_state
from shared.messages import Registration
from shared.runtime import Context
from shared.settings import load
from shared.streams import LEDGER, ROUNDS, SUBMISSIONS
from tests.coordinator_kit import ARTIFACTS, PEERS, Household, KeySigner, eventually, settings_of, signer_of

A, B = PEERS[:2]


class StockNode:
    """Speaks to http://localhost:3000/api/ as ModalSwarmCoordinator and PRGCoordinator do: JSON with orgId beside the
    method's own fields, no cookie, no Origin."""

    def __init__(self, parts: Parts, org_id: str) -> None:
        transport = httpx.ASGITransport(build_app(parts))
        headers = {"User-Agent": "python-requests/2.32.3", "Accept": "*/*"}
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost:3000/api/", headers=headers)
        self.org_id = org_id

    async def send(self, method: str, **fields) -> httpx.Response:
        return await self.http.post(method, json={"orgId": self.org_id, **fields})

    async def register(self, peer: str) -> httpx.Response:
        return await self.send("register-peer", peerId=peer)

    async def reward(self, number: int, points: int, peer: str = A) -> httpx.Response:
        return await self.send("submit-reward", roundNumber=number, stageNumber=0, reward=points, peerId=peer)

    async def winners(self, number: int, winners: list[str], peer: str = A) -> httpx.Response:
        return await self.send("submit-winner", roundNumber=number, winners=winners, peerId=peer)


def identity_settings(folder, **changes) -> IdentitySettings:
    passphrase = folder / "passphrase"
    passphrase.write_text("a long passphrase")
    given = {"state_dir": folder, "passphrase_file": passphrase, "+kdf": "fast", **changes}
    return load("identity", IdentitySettings, [f"{name}={value}" for name, value in given.items()])


@pytest.fixture
async def page(tmp_path):
    """A household's page beside its coordinator's queue."""
    household = Household(settings_of(tmp_path))
    context = Context(household.queue, household.store, Health("identity", "one", 60))
    accounts = Accounts.open(identity_settings(tmp_path))
    parts = Parts(identity_settings(tmp_path), context, View(), Board(), accounts)
    following = asyncio.create_task(tail(LEDGER, parts.view, context))
    yield household, parts
    context.stop.set()
    await following
    accounts.close()


@pytest.fixture
async def stock_node(tmp_path, node, page):
    """A stock node at the page of a household whose coordinator runs."""
    household, parts = page
    chain = Web3Chain(node.url, signer_of(tmp_path), ARTIFACTS, receipt_timeout_s=5)
    stock_node = StockNode(parts, parts.accounts.org_id)
    async with household.running(chain):
        await eventually(lambda: household.queue.last(ROUNDS), 15)
        await eventually(lambda: swarm_state(household.store), 15)
        yield stock_node


async def test_it_registers_and_submits_rewards_and_winners(stock_node, node):
    registered = await stock_node.register(A)
    rewarded = await stock_node.reward(0, -7)
    voted = await stock_node.winners(0, [A, B])
    for answer in (registered, rewarded, voted):
        assert (answer.status_code, list(answer.json())) == (200, ["hash"])
        receipt = node.ask("eth_getTransactionReceipt", answer.json()["hash"])
        assert (receipt["status"], len(receipt["logs"]) > 0) == ("0x1", True)


async def test_what_it_does_twice_is_told_in_the_contracts_words(stock_node):
    calls = {
        "PeerIdAlreadyRegistered": lambda: stock_node.register(A),
        "RewardAlreadySubmitted": lambda: stock_node.reward(0, 3),
        "WinnerAlreadyVoted": lambda: stock_node.winners(0, [A]),
    }
    for error, call in calls.items():
        assert (await call()).status_code == 200
        again = await call()
        assert (again.status_code, again.json()) == (400, {"error": error})


async def test_what_the_contract_refuses_is_told_in_its_words(stock_node, page, tmp_path, node):
    household, _ = page
    other = Web3Chain(node.url, KeySigner(), ARTIFACTS, receipt_timeout_s=5)
    other.use((await swarm_state(household.store)).contract)
    await other.submit([Registration(peer_id=B)])
    taken = await stock_node.register(B)
    assert (taken.status_code, taken.json()) == (400, {"error": "PeerIdAlreadyRegistered"})
    foreign = await stock_node.reward(0, 1, peer=B)
    assert (foreign.status_code, foreign.json()) == (400, {"error": "InvalidVoterPeerId"})
    early = await stock_node.reward(5, 1)
    assert (early.status_code, early.json()) == (400, {"error": "InvalidRoundNumber"})
    await stock_node.register(A)
    double = await stock_node.winners(0, [A, A])
    assert (double.status_code, double.json()) == (400, {"error": "InvalidVote"})


async def test_its_key_is_activated_and_an_unknown_organization_is_not_found(page):
    _, parts = page
    known, unknown = StockNode(parts, parts.accounts.org_id), StockNode(parts, "another")
    status = await known.http.get("get-api-key-status", params={"orgId": known.org_id})
    assert (status.status_code, status.text) == (200, "activated")
    assert (await known.http.get("get-api-key-status", params={"orgId": "another"})).status_code == 404
    assert (await known.http.get("get-api-key-status")).status_code == 404
    for answer in (await unknown.register(A), await unknown.reward(0, 1), await unknown.winners(0, [A])):
        assert answer.status_code == 404


async def test_the_prediction_market_is_not_there_and_says_so(page):
    _, parts = page
    node = StockNode(parts, parts.accounts.org_id)
    for method, fields in {
        "bet-token-balance": {},
        "guess-answer": {"gameId": 0, "clueId": 0, "choiceIdx": 1, "bet": 10},
        "claim-reward": {"gameId": 0},
    }.items():
        answer = await node.send(method, peerId=A, **fields)
        assert (answer.status_code, answer.json()) == (400, {"error": "PredictionMarketNotDeployed"})


async def test_with_a_locked_key_its_submissions_wait_and_it_is_told(page):
    household, parts = page
    node = StockNode(parts, parts.accounts.org_id)
    parts.accounts.vault._account = None  # as after a restart without the passphrase
    status = await node.http.get("get-api-key-status", params={"orgId": node.org_id})
    assert status.text == "pending"
    answer = await node.register(A)
    assert (answer.status_code, answer.json()) == (503, {"error": "AccountLocked"})
    assert await household.queue.backlog(SUBMISSIONS) == 1


async def test_while_the_chain_is_away_it_is_told_in_time_and_nothing_is_lost(page, monkeypatch):
    household, parts = page
    monkeypatch.setattr(settling, "SETTLE_S", 0.3)
    answer = await StockNode(parts, parts.accounts.org_id).register(A)
    assert (answer.status_code, answer.json()) == (504, {"error": "StillWaitingForTheChain"})
    assert await household.queue.backlog(SUBMISSIONS) == 1


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "cross-site"}],
)
async def test_no_page_in_the_owners_browser_can_speak_for_the_node(page, headers):
    household, parts = page
    node = StockNode(parts, parts.accounts.org_id)
    node.http.headers.update(headers)
    assert (await node.register(A)).status_code == 403
    assert await household.queue.backlog(SUBMISSIONS) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"peerId": "<script>"},
        {"peerId": A, "reward": 2**63, "roundNumber": 0, "stageNumber": 0},
        {"peerId": A, "reward": 1, "roundNumber": -1, "stageNumber": 0},
        {"peerId": A, "reward": "many", "roundNumber": 0, "stageNumber": 0},
        {"peerId": A, "reward": 1, "roundNumber": 2**70, "stageNumber": 0},
        {},
    ],
)
async def test_what_makes_no_sense_is_refused_and_submits_nothing(page, fields):
    household, parts = page
    answer = await StockNode(parts, parts.accounts.org_id).send("submit-reward", **fields)
    assert answer.status_code == 422
    assert await household.queue.backlog(SUBMISSIONS) == 0
