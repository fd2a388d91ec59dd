"""Two households, one of them invited: they train together, ask one judge, bet against each other, and publish, each as
far as its token lets it.

The hub is on this machine. The founder's token may write, the guest's may only read.
"""

import json
import re
import secrets
from itertools import groupby
from typing import NamedTuple

import pytest
from playwright.sync_api import expect
from safetensors.torch import load
from web3 import HTTPProvider, Web3

from shared.invite import parse
from shared.market import STATE, MarketState, read
from tests.browser_kit import chromium
from tests.containers.engine import ROOT, docker, gateway
from tests.containers.stack import Stack, container_name
from tests.hub_server import READ, hub_server

ABI = json.loads((ROOT / "contracts" / "artifacts" / "PredictionMarket.json").read_text())["abi"]
ANSWER, POT = 4, 7  # of what getGame returns
FOUNDER, GUEST = "rlswarm-host", "rlswarm-guest"
WRITES, READS = (f"hf_{secrets.token_hex(17)}" for _ in range(2))
TOLD_THE_TOKEN = {"trainer-cpu", "publisher"}
PLAYS = {"PRG_GAME": "true", "PRG_BET": "even", "JUDGE_EVERY": "2"}  # even: a bet on every clue
PUBLISHES = {"PUBLISH_EVERY_ROUNDS": "2", "PUBLISH_QUESTIONS": "2", "PUBLISH_SAMPLES": "2"}
pytestmark = pytest.mark.timeout(1_200)


class Game(NamedTuple):
    """A game as the chain tells it."""

    number: int
    answer: int
    bets: list
    paid: list


@pytest.fixture(scope="module")
def hub():
    with hub_server(token=WRITES, host=gateway()) as served:
        served.tokens[READS] = ("guest", READ, ())
        yield served


@pytest.fixture(scope="module")
def founder(built, hub, tmp_path_factory):
    chain = f"http://{container_name(FOUNDER, 'chain')}:8545"
    told = {"INVITE_CHAIN_URL": chain, "PRG_CLUE_S": "5", "HF_TOKEN": WRITES, "HF_ENDPOINT": hub.url}
    stack = Stack(tmp_path_factory.mktemp("host") / "rlswarm", FOUNDER, **PLAYS, **PUBLISHES, **told)
    try:
        stack.up(wait_s=240)
        stack.wait("a market", lambda: market(stack), 120)
        yield stack
    finally:
        stack.down("-v")


@pytest.fixture(scope="module")
def guest(founder, hub, tmp_path_factory):
    invite = founder.execute("identity", "python", "-m", "services.identity.admin", "invite").strip()
    assert parse(invite, None).invite.market == market(founder).contract
    judge = {"JUDGE_UPSTREAM_URL": f"http://{founder.name('judge')}:8000", "JUDGE_NETWORK": "edge"}
    told = {"SWARM_INVITE": invite, "HUGGINGFACE_ACCESS_TOKEN": READS, "HF_ENDPOINT": hub.url}
    stack = Stack(tmp_path_factory.mktemp("guest") / "rlswarm", GUEST, **PLAYS, **judge, **told)
    try:
        stack.up(wait_s=240)  # it waits, healthy and degraded, for what it cannot reach yet
        meet(founder, stack)
        yield stack
    finally:
        for network, service in (("inside", "chain"), ("edge", "judge")):
            docker("network", "disconnect", "-f", f"{GUEST}_{network}", founder.container(service), check=False)
        stack.down("-v")


def meet(founder, guest):
    """What routers do between two homes: peers reach each other, and the guest the founder's chain and judge."""
    docker("network", "connect", f"{FOUNDER}_edge", guest.container("p2p"))
    docker("network", "connect", f"{GUEST}_inside", founder.container("chain"))
    docker("network", "connect", f"{GUEST}_edge", founder.container("judge"))


def market(stack):
    return stack.kept(lambda store: read(store, STATE, MarketState))


def rewards(stack):
    return [settled.submission for _, settled in stack.history().rewards()]


def rounds(stack):
    return len(stack.history().trained)


def test_two_households_train_in_one_swarm(founder, guest):
    mine = guest.wait("a reward of the guest", lambda: rewards(guest), 180)
    assert {reward.peer_id for reward in mine}.isdisjoint(founder.history().peers())
    assert guest.chain().contract == founder.chain().contract
    assert "invited to the swarm home by its founder" in guest.said("coordinator", 10_000)
    guest.wait("the same round on both sides", lambda: abs(guest.chain().round - founder.chain().round) <= 1, 60)
    for stack in (guest, founder):
        stack.wait("rollouts of the other household", lambda s=stack: heard(s), 180)


def heard(stack):
    """Whether its one peer heard another one lately."""
    return any(trained.seen_peers for trained in list(stack.history().trained.values())[-6:])


# ---- one judge ----


def test_the_guests_peers_are_examined_by_the_founders_judge(founder, guest):
    (peer,) = guest.history().peers()
    ask = (
        f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/results/?user_id={peer}').read().decode())"
    )
    results = guest.wait("an exam", lambda: json.loads(founder.execute("judge", "python", "-S", "-c", ask)), 180)
    assert all(0 <= result["score"] <= 1 for result in results)


# ---- the market ----


@pytest.fixture(scope="module")
def game(founder, guest):
    """A game in which both bet, and whose pot is empty again: its number, bets and payments, from the chain."""
    contract = contract_of(founder)
    accounts = {stack.chain().account for stack in (founder, guest)}

    def through():
        betting = groupby(logs(contract, "AnswerGuessed"), lambda bet: bet["gameId"])
        both = [number for number, bets in betting if {bet["account"] for bet in bets} == accounts]
        return [number for number in both if contract.functions.getGame(number).call()[POT] == 0]

    number, *_ = founder.wait("a game with bets of both, all claimed", through, 240)
    return Game(
        number=number,
        answer=contract.functions.getGame(number).call()[ANSWER],
        bets=logs(contract, "AnswerGuessed", number),
        paid=logs(contract, "RewardClaimed", number),
    )


def contract_of(stack):
    web3 = Web3(HTTPProvider(f"http://{stack.ip('chain')}:8545", request_kwargs={"timeout": 10}))
    return web3.eth.contract(Web3.to_checksum_address(market(stack).contract), abi=ABI)


def logs(contract, event, game=None):
    where = {} if game is None else {"gameId": game}
    return [one["args"] for one in contract.events[event]().get_logs(from_block=0, argument_filters=where)]


def test_both_bet_in_one_game_and_the_contract_pays_all_that_was_bet(game):
    assert sum(bet["bet"] for bet in game.bets) == sum(one["tokens"] for one in game.paid) > 0
    right = {bet["peerId"] for bet in game.bets if bet["choiceIdx"] == game.answer}
    assert {one["peerId"] for one in game.paid} == (right or {bet["peerId"] for bet in game.bets})


def test_each_households_page_shows_its_own_bets(founder, guest, game):
    expected = {}
    for stack in (founder, guest):
        account = stack.chain().account
        bet = sum(one["bet"] for one in game.bets if one["account"] == account)
        expected[stack.page] = (bet, sum(one["tokens"] for one in game.paid if one["account"] == account))
    with chromium() as browser:
        for port, (bet, paid) in expected.items():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"http://127.0.0.1:{port}")
            expect(page.locator("#market-tokens")).to_contain_text("tokens")
            if (more := page.locator("#market-more")).is_visible():
                more.click()
            shown = page.locator("#market-games > li").filter(has_text=f"Game {game.number}:")
            expect(shown).to_contain_text(f"bet {bet:,}, paid {paid:,}")


# ---- the hub ----


def test_the_founders_checkpoint_is_on_the_hub_with_its_card(founder, hub):
    ran = set()

    def building():
        for container, _ in containers(founder):
            ran.update(docker("top", container, "-o", "pid,args", check=False).stdout.splitlines())
        return any("services.publisher.build" in line for line in ran)

    founder.wait("a folder in the making, with the token at hand", building, 180)
    assert not any(WRITES in line for line in ran)
    founder.wait("an upload", lambda: [one for one in hub.repositories.values() if one.commits], 180)
    ((name, repository),) = hub.repositories.items()
    assert re.fullmatch(r"me/rlswarm-embedded-Gensyn-Swarm-\w+_\w+_\w+", name)
    told = json.loads(repository.files["rlswarm.json"])
    assert [told["peer"]] == founder.history().peers()
    assert repository.files["README.md"].startswith(b"---\n") and name.encode() in repository.files["README.md"]
    assert repository.files["curves.png"].startswith(b"\x89PNG")
    assert sum(weight.numel() for weight in load(repository.files["model.safetensors"]).values()) > 500_000


def containers(stack):
    """The id of every container, ended ones too, and its service."""
    label = f"label=com.docker.compose.project={stack.project}"
    listed = docker("ps", "-a", "--filter", label, "--format", '{{.ID}} {{.Label "com.docker.compose.service"}}')
    return [line.split() for line in listed.stdout.splitlines()]


@pytest.mark.parametrize("token", [WRITES, READS], ids=["writes", "reads"])
def test_a_token_is_known_to_trainer_and_publisher_only(founder, guest, token):
    stack = founder if token == WRITES else guest
    assert token not in stack.said(lines=100_000)
    for container, service in containers(stack):
        assert token not in docker("top", container, check=False).stdout, service
        assert (token in docker("inspect", container).stdout) == (service in TOLD_THE_TOKEN), service
    for service in ("publisher", "identity", "judge"):
        found = docker("exec", stack.container(service), "grep", "-rl", token, "/state", check=False)
        assert (found.stdout, found.returncode in (1, 2)) == ("", True), service  # 2: a file went meanwhile


def test_a_token_that_may_only_read_is_refused_in_one_line_and_training_goes_on(guest, hub):
    said = guest.said("publisher", 10_000)
    assert len(re.findall("the token is read-only: nothing is published, training goes on", said)) == 1
    assert "Traceback" not in said
    assert [name for name in hub.repositories if not name.startswith("me/")] == []
    before = rounds(guest)
    guest.wait("three more rounds", lambda: rounds(guest) >= before + 3, 60)
