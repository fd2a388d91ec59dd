"""The prediction market in a whole swarm, as a user starts it: three peers, two games, every token accounted for."""

from __future__ import annotations

import json
import signal

import pytest
from web3 import HTTPProvider, Web3

from services.local.anvil import AnvilMissing, find_anvil
from shared.invite import parse
from shared.market import played
from shared.queue.redis import RedisStore, connect
from tests.coordinator_kit import ARTIFACTS, ROOT, eventually
from tests.e2e.found_kit import TwoHouseholds
from tests.e2e.swarm_kit import Swarm


@pytest.fixture(autouse=True)
def told(monkeypatch):
    try:
        find_anvil(ROOT / ".cache")
    except AnvilMissing as error:
        pytest.skip(str(error))
    monkeypatch.setenv("PRG_GAME", "true")
    monkeypatch.setenv("PRG_CLUE_S", "6")
    monkeypatch.setenv("PRG_BET", "even")  # every model bets something on every clue


@pytest.fixture
def swarm(tmp_path):
    swarm = Swarm(tmp_path, "market", peers=3)
    yield swarm
    swarm.process.send_signal(signal.SIGINT)
    swarm.process.wait(60)


@pytest.mark.timeout(300)
async def test_three_peers_play_two_games_and_every_token_is_accounted_for(swarm):
    plan = await eventually(lambda: plan_of(swarm), 60)
    client = connect(f"redis://127.0.0.1:{plan.ports['redis']}/0")
    store = RedisStore(client)
    try:

        async def two():
            found = [game for game in await played(store) if is_over(game)]
            return found if len([game for game in found if settled(game)]) >= 2 else None

        games = await eventually(two, 200)
    finally:
        await client.aclose()
    assert games[0].table.game == 0, "the first game, too"
    assert all(game.choices and game.placed for game in games[:2])
    market = json.loads((swarm.folder.state / "coordinator" / "market.json").read_text())["address"]
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{plan.ports['chain']}"))
    abi = json.loads((ARTIFACTS / "PredictionMarket.json").read_text())["abi"]
    contract = web3.eth.contract(address=Web3.to_checksum_address(market), abi=abi)
    for game in games[:2]:
        pot = contract.functions.getGame(game.table.game).call()[7]
        assert pot == 0, "everything is claimed"
        bet = sum(one.tokens for one in game.placed)
        assert sum(game.paid.values()) == bet, "what was bet was paid out, no token more or less"


@pytest.mark.timeout(400)
async def test_who_was_invited_bets_in_the_founders_games_and_is_paid_what_is_due(tmp_path, monkeypatch):
    two = TwoHouseholds(tmp_path)
    two.found()
    try:
        founder = two.start()
        market = founder.folder.state / "coordinator" / "market.json"
        founder.wait("a round", lambda: founder.round() >= 0 and market.exists(), 120)
        address = json.loads(market.read_text())["address"]
        text = founder.wait("an invite that names the market", lambda: named(two.invite(), address), 60)
        judge = founder.folder.read_plan().ports["judge"]
        monkeypatch.setenv("JUDGE_UPSTREAM_URL", f"http://127.0.0.1:{judge}")
        guest = two.join(text)
        plan = await eventually(lambda: plan_of(guest), 60)
        client = connect(f"redis://127.0.0.1:{plan.ports['redis']}/0")
        store = RedisStore(client)
        try:

            async def through():
                return [game for game in await played(store) if game.placed and is_over(game) and settled(game)]

            games = await eventually(through, 200)
        finally:
            await client.aclose()
        assert games[0].choices and games[0].question, "the clue came from the founder's judge"
    finally:
        two.stop()


def named(text: str, market: str) -> str | None:
    """The invite, if it names the market."""
    return text if parse(text, None).invite.market == market else None


def is_over(game) -> bool:
    return game.table.state in ("answered", "refunded")


def settled(game) -> bool:
    """Whatever is due was paid: the right bets, or all of them where nobody was right."""
    right = [one.peer for one in game.placed if game.table.state == "refunded" or one.choice == game.table.answer]
    return bool(game.placed) and set(right) <= set(game.paid)


async def plan_of(swarm):
    return swarm.folder.read_plan() if (swarm.folder.root / "plan.json").exists() else None
