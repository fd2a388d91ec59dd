"""A stock RL Swarm node in the prediction market, by the REST routes that it knows."""

import asyncio

import pytest

from services.identity.accounts.accounts import Accounts
from services.identity.board import Board
from services.identity.live import View
from services.identity.parts import Parts
from services.identity.tail import seen_market
from shared.health import Health
from shared.runtime import Context
from tests.coordinator_kit import PEERS
from tests.integration.test_stock_nodes import StockNode, identity_settings
from tests.market_kit import Home, dealing, right

A, STOCK = PEERS[0], PEERS[1]


@pytest.fixture
async def home(tmp_path, node):
    return Home(tmp_path, node)


@pytest.fixture
async def stock_node(home, tmp_path):
    context = Context(home.queue, home.store, Health("identity", "one", 60))
    accounts = Accounts.open(identity_settings(tmp_path))
    parts = Parts(identity_settings(tmp_path), context, View(), Board(), accounts)
    yield StockNode(parts, parts.accounts.org_id)
    accounts.close()


async def test_it_asks_for_its_tokens_bets_and_is_paid_in_the_first_game_too(home, stock_node):
    async with home.up(A), dealing(home):
        assert (await stock_node.register(STOCK)).status_code == 200
        balance = await stock_node.send("bet-token-balance", peerId=STOCK)
        assert (balance.status_code, balance.json()) == (200, {"result": 100})
        clue = await home.shown(0, 0)
        told = {"gameId": clue.game_id, "clueId": clue.clue_id, "choiceIdx": await right(home), "peerId": STOCK}
        bet = await stock_node.send("guess-answer", **told, bet=40)
        assert (bet.status_code, list(bet.json())) == (200, ["hash"])
        assert home.node.ask("eth_getTransactionReceipt", bet.json()["hash"])["status"] == "0x1"
        twice, rich, early = await asyncio.gather(
            stock_node.send("guess-answer", **told, bet=40),
            stock_node.send("guess-answer", **{**told, "peerId": A}, bet=10_000),
            stock_node.send("claim-reward", gameId=0, peerId=STOCK),
        )
        assert (twice.status_code, twice.json()) == (400, {"error": "AlreadyGuessed"})
        assert (rich.status_code, rich.json()) == (400, {"error": "InsufficientTokens"})
        assert (early.status_code, early.json()) == (400, {"error": "TooEarly"})
        seen = await seen_market(home.store)
        assert seen is not None and sum(seen.state.game.bets) == 40
        await home.finish(0)
        paid = await stock_node.send("claim-reward", gameId=0, peerId=STOCK)
        assert (paid.status_code, list(paid.json())) == (200, ["hash"])
        assert (await stock_node.send("claim-reward", gameId=99, peerId=STOCK)).json() == {"error": "UnknownGame"}


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("guess-answer", {"gameId": -1, "clueId": 0, "choiceIdx": 0, "bet": 1}),
        ("guess-answer", {"gameId": 0, "clueId": 0, "choiceIdx": 256, "bet": 1}),
        ("guess-answer", {"gameId": 0, "clueId": 0, "choiceIdx": 0, "bet": 2**128}),
        ("guess-answer", {"gameId": 0}),
        ("claim-reward", {"gameId": 2**64}),
    ],
)
async def test_what_is_no_wager_is_422_and_an_unknown_organization_404(stock_node, method, fields):
    assert (await stock_node.send(method, peerId=A, **fields)).status_code == 422
    stock_node.org_id = "another"
    good = {"gameId": 0, "clueId": 0, "choiceIdx": 0, "bet": 1}
    assert (await stock_node.send(method, peerId=A, **good)).status_code == 404
