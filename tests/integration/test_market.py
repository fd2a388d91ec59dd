"""PredictionMarket on a real chain, each rule as a fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3.types import TxReceipt

from tests.contract_kit import (
    NOBODY,
    RIGHT,
    SALT,
    WRONG,
    advance,
    ask,
    commitment,
    do,
    events,
    now,
    refusal,
    registered,
    role,
    wait,
)
from tests.integration.conftest import Deployed

OPEN, CLOSED, ANSWERED, REFUNDED = range(4)


@dataclass
class Market:
    """A market, the swarm it belongs to, and players by the names of their peers."""

    swarm: Deployed
    market: Deployed
    manager: LocalAccount
    players: dict[str, LocalAccount]

    def play(self, *names: str, tokens: int = 1000) -> None:
        """Let somebody in with a peer of this name and some tokens."""
        for name in names:
            self.players[name] = registered(self.swarm, name)
        if names:
            do(self.market, self.swarm.owner, "grantTokens", list(names), tokens)

    def create(self, choices: int = 4, clues: int = 3, lasts_s: int = 1000, answer: int = RIGHT) -> int:
        """Begin a game; its number."""
        self.manage("createGame", choices, clues, now(self.market) + lasts_s, commitment(answer))
        return int(ask(self.market, "gameCount")) - 1

    def manage(self, name: str, *arguments: Any) -> TxReceipt:
        return do(self.market, self.manager, name, *arguments)

    def guess(self, name: str, game: int, clue: int, choice: int, bet: int) -> TxReceipt:
        return do(self.market, self.players[name], "guessAnswer", game, name, clue, choice, bet)

    def refused(self, name: str, game: int, clue: int, choice: int, bet: int) -> str | None:
        return refusal(self.market, self.players[name], "guessAnswer", game, name, clue, choice, bet)

    def finish(self, game: int, answer: int = RIGHT) -> None:
        self.manage("closeBets", game)
        self.manage("revealAnswer", game, answer, SALT)

    def claim(self, name: str, game: int) -> int:
        """Take what is due; how much that was."""
        before = self.tokens(name)
        do(self.market, self.players[name], "claimReward", game, name)
        return self.tokens(name) - before

    def no_claim(self, name: str, game: int) -> str | None:
        return refusal(self.market, self.players[name], "claimReward", game, name)

    def tokens(self, name: str) -> int:
        return int(ask(self.market, "betTokenBalance", self.players[name].address, name))

    def game(self, game: int) -> dict[str, Any]:
        names = ["state", "choices", "clues", "shown", "answer", "reveal_by", "commitment", "pot", "prize", "weight"]
        return dict(zip(names, ask(self.market, "getGame", game), strict=True))

    def is_conserved(self) -> bool:
        """Whether every token that was granted is in a purse or in a pot."""
        pots = sum(self.game(game)["pot"] for game in range(ask(self.market, "gameCount")))
        purses = sum(self.tokens(name) for name in self.players)
        return bool(pots + purses == ask(self.market, "tokensGranted"))


@pytest.fixture
def market(deployed: Deployed) -> Market:
    manager: LocalAccount = Account.create()
    contract = deployed.at(deployed.create("PredictionMarket", deployed.address))
    do(deployed, deployed.owner, "grantRole", role(contract, "MARKET_MANAGER_ROLE"), manager.address)
    return Market(deployed, contract, manager, {})


# ---- a game ----


def test_the_first_game_is_number_0_and_its_reward_can_be_claimed(market: Market) -> None:
    market.play("ann", "bob")
    assert market.create() == 0
    market.manage("revealClue", 0, 0)
    market.guess("ann", 0, 0, RIGHT, 100)
    market.guess("bob", 0, 0, WRONG, 60)
    market.finish(0)
    assert market.claim("ann", 0) == 160
    assert market.no_claim("bob", 0) == "NothingToClaim"
    assert (market.tokens("ann"), market.tokens("bob")) == (1060, 940)
    assert market.is_conserved()


def test_the_earlier_of_two_right_guesses_earns_more(market: Market) -> None:
    market.play("early", "late", "wrong")
    game = market.create(clues=3)
    for clue, name, choice in ((0, "early", RIGHT), (1, "wrong", WRONG), (2, "late", RIGHT)):
        market.manage("revealClue", game, clue)
        market.guess(name, game, clue, choice, 100)
    assert ask(market.market, "getBet", game, "early", RIGHT) == (100, 300)
    assert ask(market.market, "getBet", game, "late", RIGHT) == (100, 100)
    assert ask(market.market, "getBetsOn", game, RIGHT) == (200, 400)
    market.finish(game)
    assert market.claim("early", game) == 175
    assert market.claim("late", game) == 125


def test_a_right_guess_never_loses_however_late_and_small_it_is(market: Market) -> None:
    market.play("early", "late")
    game = market.create(clues=40, choices=2, answer=1)
    market.manage("revealClue", game, 0)
    market.guess("early", game, 0, 1, 1000)
    for clue in range(1, 40):
        market.manage("revealClue", game, clue)
    market.guess("late", game, 39, 1, 1)
    market.finish(game, 1)
    assert (market.claim("late", game), market.claim("early", game)) == (1, 1000)


def test_a_peer_may_bet_on_every_clue_and_change_its_mind(market: Market) -> None:
    market.play("ann", "bob")
    game = market.create(clues=3)
    for clue, choice in enumerate((WRONG, RIGHT, RIGHT)):
        market.manage("revealClue", game, clue)
        market.guess("ann", game, clue, choice, 10)
    market.guess("bob", game, 2, RIGHT, 30)
    assert ask(market.market, "getStake", game, "ann") == (30, 0b111, False)
    market.finish(game)
    # Of the 10 that were wrong, 10 x 2 + 10 x 1 against 30 x 1.
    assert (market.claim("ann", game), market.claim("bob", game)) == (20 + 5, 30 + 5)
    assert ask(market.market, "getStake", game, "ann")[2]


@pytest.mark.parametrize("order", [("ann", "bob", "cid"), ("cid", "bob", "ann")])
def test_rounding_neither_loses_a_token_nor_takes_one_from_a_share(market: Market, order: tuple[str, ...]) -> None:
    market.play("ann", "bob", "cid", "dan")
    game = market.create(clues=1)
    market.manage("revealClue", game, 0)
    for name in order:
        market.guess(name, game, 0, RIGHT, 1)
    market.guess("dan", game, 0, WRONG, 2)
    market.finish(game)
    shares = [market.claim(name, game) for name in order]
    assert sum(shares) == 5
    assert min(shares) == 1
    assert market.game(game)["pot"] == market.game(game)["prize"] == market.game(game)["weight"] == 0
    assert market.is_conserved()


def test_where_nobody_was_right_every_bet_comes_back(market: Market) -> None:
    market.play("ann", "bob")
    game = market.create(clues=2)
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, WRONG, 100)
    market.manage("revealClue", game, 1)
    market.guess("ann", game, 1, 1, 5)
    market.guess("bob", game, 1, WRONG, 60)
    market.finish(game)
    assert market.game(game)["state"] == REFUNDED
    assert (market.claim("ann", game), market.claim("bob", game)) == (105, 60)
    assert market.game(game)["pot"] == 0


def test_a_game_that_is_never_revealed_gives_every_bet_back(market: Market) -> None:
    market.play("ann", "bob")
    game = market.create(lasts_s=1000)
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, RIGHT, 100)
    market.guess("bob", game, 0, WRONG, 60)
    assert market.no_claim("ann", game) == "TooEarly"
    market.manage("closeBets", game)
    assert market.no_claim("ann", game) == "TooEarly"
    wait(market.market, 1001)
    assert refusal(market.market, market.manager, "revealAnswer", game, RIGHT, SALT) == "GameOver"
    assert (market.claim("ann", game), market.claim("bob", game)) == (100, 60)
    assert market.no_claim("ann", game) == "RewardAlreadyClaimed"
    assert market.is_conserved()


def test_a_reward_is_paid_once_and_only_to_the_peers_owner(market: Market) -> None:
    market.play("ann", "bob")
    game = market.create()
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, RIGHT, 100)
    market.finish(game)
    stranger = market.players["bob"]
    assert refusal(market.market, stranger, "claimReward", game, "ann") == "InvalidVoterPeerId"
    assert market.no_claim("bob", game) == "NothingToClaim"
    market.claim("ann", game)
    assert market.no_claim("ann", game) == "RewardAlreadyClaimed"


def test_two_peers_of_one_account_play_each_for_itself(market: Market) -> None:
    market.play("ann")
    do(market.swarm, market.players["ann"], "registerPeer", "ann's other")
    market.players["ann's other"] = market.players["ann"]
    do(market.market, market.swarm.owner, "grantTokens", ["ann's other"], 7)
    assert (market.tokens("ann"), market.tokens("ann's other")) == (1000, 7)
    game = market.create()
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, WRONG, 7)
    market.guess("ann's other", game, 0, RIGHT, 7)
    market.finish(game)
    assert market.no_claim("ann", game) == "NothingToClaim"
    assert market.claim("ann's other", game) == 14


def test_games_run_beside_each_other_without_touching(market: Market) -> None:
    market.play("ann", "bob")
    first, second = market.create(), market.create(answer=WRONG)
    for game in (first, second):
        market.manage("revealClue", game, 0)
        market.guess("ann", game, 0, RIGHT, 10)
        market.guess("bob", game, 0, WRONG, 30)
    market.finish(second, WRONG)
    assert market.claim("bob", second) == 40
    assert market.no_claim("bob", first) == "TooEarly"
    market.finish(first)
    assert market.claim("ann", first) == 40


# ---- bets ----


def test_a_bet_is_for_the_clue_that_is_shown_and_neither_before_nor_behind_it(market: Market) -> None:
    market.play("ann")
    game = market.create(clues=2)
    assert market.refused("ann", game, 0, RIGHT, 1) == "InvalidClue"
    market.manage("revealClue", game, 0)
    assert market.refused("ann", game, 1, RIGHT, 1) == "InvalidClue"
    assert market.refused("ann", game, 2**256 - 2, RIGHT, 1) == "InvalidClue"
    market.manage("revealClue", game, 1)
    assert market.refused("ann", game, 0, RIGHT, 1) == "BetTooLate"
    market.guess("ann", game, 1, RIGHT, 1)


def test_no_bet_is_taken_once_bets_are_closed_or_the_time_is_up(market: Market) -> None:
    market.play("ann")
    closed, forgotten = market.create(), market.create(lasts_s=500)
    for game in (closed, forgotten):
        market.manage("revealClue", game, 0)
    market.manage("closeBets", closed)
    assert market.refused("ann", closed, 0, RIGHT, 1) == "BetTooLate"
    market.manage("revealAnswer", closed, RIGHT, SALT)
    assert market.refused("ann", closed, 0, RIGHT, 1) == "BetTooLate"
    wait(market.market, 501)
    assert market.refused("ann", forgotten, 0, RIGHT, 1) == "BetTooLate"


def test_a_bet_that_is_sent_twice_counts_once(market: Market) -> None:
    market.play("ann")
    game = market.create()
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, RIGHT, 10)
    assert market.refused("ann", game, 0, RIGHT, 10) == "AlreadyGuessed"
    assert market.tokens("ann") == 990


def test_a_bet_is_at_least_1_and_at_most_what_the_peer_has(market: Market) -> None:
    market.play("ann")
    game = market.create()
    market.manage("revealClue", game, 0)
    assert market.refused("ann", game, 0, RIGHT, 0) == "InvalidBet"
    assert market.refused("ann", game, 0, RIGHT, 1001) == "InsufficientTokens"
    assert market.refused("ann", game, 0, RIGHT, 2**256 - 1) == "InsufficientTokens"
    assert market.refused("ann", game, 0, 4, 1) == "InvalidChoice"
    market.guess("ann", game, 0, RIGHT, 1000)


def test_only_its_owner_bets_as_a_peer(market: Market) -> None:
    market.play("ann")
    game = market.create()
    market.manage("revealClue", game, 0)
    for stranger in (Account.create(), market.swarm.owner):
        assert refusal(market.market, stranger, "guessAnswer", game, "ann", 0, 1, 1) == "InvalidVoterPeerId"
        assert refusal(market.market, stranger, "guessAnswer", game, "nobody's", 0, 1, 1) == "InvalidVoterPeerId"


# ---- tokens ----


def test_every_round_in_which_a_peer_bets_gives_it_tokens_once(market: Market) -> None:
    market.play("ann", tokens=0)
    do(market.market, market.swarm.owner, "setRoundTokens", 50)
    assert market.tokens("ann") == 50
    game = market.create(clues=3)
    market.manage("revealClue", game, 0)
    receipt = market.guess("ann", game, 0, RIGHT, 20)
    assert [name for name, _ in events(market.market, receipt)] == ["TokensGranted", "AnswerGuessed"]
    assert market.tokens("ann") == 30
    market.manage("revealClue", game, 1)
    market.guess("ann", game, 1, RIGHT, 30)
    assert market.tokens("ann") == 0
    advance(market.swarm, rounds=5)
    assert market.tokens("ann") == 50  # not 250: they are not saved up
    market.manage("revealClue", game, 2)
    market.guess("ann", game, 2, RIGHT, 1)
    assert market.tokens("ann") == 49
    assert ask(market.market, "tokensGranted") == 100


def test_a_balance_is_of_the_peer_and_its_owner_together(market: Market) -> None:
    market.play("ann")
    do(market.market, market.swarm.owner, "setRoundTokens", 50)
    stranger = Account.create().address
    assert ask(market.market, "betTokenBalance", stranger, "ann") == 0
    assert ask(market.market, "betTokenBalance", NOBODY, "nobody's") == 0
    assert ask(market.market, "betTokenBalance", market.players["ann"].address, "nobody's") == 0
    assert market.tokens("ann") == 1050


def test_nobody_but_an_owner_of_the_swarm_makes_tokens(market: Market) -> None:
    market.play("ann")
    for stranger in (Account.create(), market.manager, market.players["ann"]):
        assert refusal(market.market, stranger, "grantTokens", ["ann"], 1) == "OnlyOwner"
        assert refusal(market.market, stranger, "setRoundTokens", 1) == "OnlyOwner"
    assert refusal(market.market, market.swarm.owner, "grantTokens", ["ann", "nobody's"], 1) == "InvalidVoterPeerId"
    receipt = do(market.market, market.swarm.owner, "setRoundTokens", 9)
    assert events(market.market, receipt) == [("RoundTokensSet", {"amount": 9})]


# ---- managing games ----


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("createGame", (2, 1, 2**63, SALT)),
        ("revealClue", (0, 0)),
        ("closeBets", (0,)),
        ("revealAnswer", (0, RIGHT, SALT)),
    ],
)
def test_nobody_but_a_market_manager_leads_games(market: Market, name: str, arguments: tuple[Any, ...]) -> None:
    market.create()
    for stranger in (Account.create(), market.swarm.owner):
        assert refusal(market.market, stranger, name, *arguments) == "OnlyMarketManager"


@pytest.mark.parametrize(("choices", "clues"), [(1, 1), (256, 1), (2, 0), (2, 41), (2**256 - 1, 2**256 - 1)])
def test_a_game_of_impossible_size_is_refused(market: Market, choices: int, clues: int) -> None:
    arguments = (choices, clues, now(market.market) + 100, SALT)
    assert refusal(market.market, market.manager, "createGame", *arguments) == "InvalidGame"


def test_a_game_may_be_as_large_as_it_may_be(market: Market) -> None:
    market.play("ann")
    game = market.create(choices=255, clues=40, answer=254, lasts_s=100_000)
    for clue in range(40):
        market.manage("revealClue", game, clue)
        if clue in (0, 38, 39):
            market.guess("ann", game, clue, 254, 1)
    assert refusal(market.market, market.manager, "revealClue", game, 40) == "InvalidClue"
    assert ask(market.market, "getBet", game, "ann", 254) == (3, 40 + 2 + 1)
    market.finish(game, 254)
    assert market.claim("ann", game) == 3


def test_a_game_ends_within_30_days(market: Market) -> None:
    soon = now(market.market)
    for end in (0, soon - 1, soon + 31 * 86_400, 2**64 - 1):
        assert refusal(market.market, market.manager, "createGame", 2, 1, end, SALT) == "InvalidGame"
    market.create(lasts_s=30 * 86_400 - 60)


def test_clues_come_in_order_and_each_once(market: Market) -> None:
    game = market.create(clues=2)
    assert refusal(market.market, market.manager, "revealClue", game, 1) == "InvalidClue"
    receipt = market.manage("revealClue", game, 0)
    assert events(market.market, receipt) == [("ClueRevealed", {"gameId": game, "clueId": 0})]
    assert refusal(market.market, market.manager, "revealClue", game, 0) == "InvalidClue"
    market.manage("revealClue", game, 1)
    market.manage("closeBets", game)
    assert refusal(market.market, market.manager, "revealClue", game, 2) == "GameOver"
    assert refusal(market.market, market.manager, "closeBets", game) == "GameOver"


def test_the_answer_is_the_one_that_the_game_began_with(market: Market) -> None:
    market.play("ann")
    game = market.create()
    assert refusal(market.market, market.manager, "revealAnswer", game, RIGHT, SALT) == "TooEarly"
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, RIGHT, 10)
    market.manage("closeBets", game)
    for answer, salt in ((WRONG, SALT), (RIGHT, b"t" * 32)):
        assert refusal(market.market, market.manager, "revealAnswer", game, answer, salt) == "InvalidAnswer"
    receipt = market.manage("revealAnswer", game, RIGHT, SALT)
    revealed = {"gameId": game, "choiceIdx": RIGHT, "prize": 0, "weight": 30}
    assert events(market.market, receipt) == [("AnswerRevealed", revealed)]
    assert refusal(market.market, market.manager, "revealAnswer", game, RIGHT, SALT) == "GameOver"


def test_a_game_whose_answer_is_no_choice_gives_every_bet_back(market: Market) -> None:
    market.play("ann")
    game = market.create(choices=2, answer=2, lasts_s=300)
    market.manage("revealClue", game, 0)
    market.guess("ann", game, 0, 1, 10)
    market.manage("closeBets", game)
    assert refusal(market.market, market.manager, "revealAnswer", game, 2, SALT) == "InvalidChoice"
    wait(market.market, 301)
    assert market.claim("ann", game) == 10


def test_a_game_tells_how_it_stands(market: Market) -> None:
    market.play("ann")
    end = now(market.market) + 1000
    receipt = market.manage("createGame", 4, 3, end, commitment())
    created = {"gameId": 0, "choiceCount": 4, "clueCount": 3, "revealBy": end, "commitment": commitment()}
    assert events(market.market, receipt) == [("GameCreated", created)]
    market.manage("revealClue", 0, 0)
    receipt = market.guess("ann", 0, 0, RIGHT, 10)
    account = market.players["ann"].address
    guessed = {"account": account, "gameId": 0, "peerId": "ann", "clueId": 0, "choiceIdx": RIGHT, "bet": 10}
    assert events(market.market, receipt) == [("AnswerGuessed", guessed)]
    seen = market.game(0)
    assert (seen["state"], seen["choices"], seen["clues"], seen["shown"], seen["pot"]) == (OPEN, 4, 3, 1, 10)
    receipt = market.manage("closeBets", 0)
    assert events(market.market, receipt) == [("BetsClosed", {"gameId": 0})]
    assert market.game(0)["state"] == CLOSED
    market.manage("revealAnswer", 0, RIGHT, SALT)
    assert (market.game(0)["state"], market.game(0)["answer"]) == (ANSWERED, RIGHT)
    receipt = do(market.market, market.players["ann"], "claimReward", 0, "ann")
    claimed = {"account": account, "gameId": 0, "peerId": "ann", "tokens": 10}
    assert events(market.market, receipt) == [("RewardClaimed", claimed)]


def test_there_is_no_game_before_the_first(market: Market) -> None:
    market.play("ann")
    assert ask(market.market, "gameCount") == 0
    assert refusal(market.market, market.manager, "getGame", 0) == "UnknownGame"
    assert market.refused("ann", 0, 0, 0, 1) == market.no_claim("ann", 0) == "UnknownGame"
