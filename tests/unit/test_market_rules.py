"""The prediction market's decisions: which games there are, what happens next with one, how much is bet on what."""

from random import Random

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from services.coordinator.market.moves import (
    SLACK_S,
    STALE_S,
    Close,
    Create,
    Done,
    Reveal,
    Show,
    commitment_of,
    next_move,
)
from services.judge.bank import Bank
from services.judge.games import CHOICES, CLUES, NoGame, compose
from services.judge.market import clue_of
from services.judge.settings import JudgeSettings
from services.trainer.market.betting import (
    LEAST_GAMES,
    Bet,
    Stand,
    chances_of,
    corrected,
    even,
    kelly,
    kelly_share,
    temperature_of,
)
from shared.market import NO_GAME, Clue, Dealing, MarketState, Proposal, Table, question_of, ruled_out
from shared.settings import load
from shared.tasks import is_held_out
from shared.wagers import Claim, Guess, Wagered

PROPOSAL = Proposal(
    id="p",
    question="2 + 2",
    choices=("3", "4"),
    clues=("2 + 2", "2 + 2\nIt is not: 3"),
    answer=1,
    salt="0x" + "5a" * 32,
    made_at=1000.0,
)


def table(**changes):
    told = {"game": 0, "state": "open", "choices": 2, "clues": 2, "shown": 1, "answer": None, "reveal_by": 9000}
    return Table(**{**told, "commitment": commitment_of(PROPOSAL), "bets": (0, 0), "weights": (0, 0), **changes})


def stand(chances=(0.7, 0.1, 0.1, 0.1), **changes):
    told = {"balance": 100, "left": 3, "clues": 3, "bets": (0,) * 4, "weights": (0,) * 4}
    return Stand(chances=chances, **{**told, **changes})


# ---- games ----


@pytest.mark.parametrize("mix", ["easy", "six", "nine"])
def test_a_game_has_one_right_answer_and_clues_that_never_rule_it_out(mix):
    bank = Bank(load("judge", JudgeSettings, [f"data={mix}"]).data)
    for seed in range(0, 40, 2):
        game = compose(bank.deck(seed), Random(seed), 5.0)
        assert len(set(game.choices)) == len(game.choices) == CHOICES
        assert len(game.clues) == CLUES
        assert is_held_out(game.question)
        for shown, clue in enumerate(game.clues):
            out = ruled_out(clue, game.choices)
            assert len(out) == shown and game.answer not in out
            assert question_of(clue) == question_of(game.question)


def test_the_place_of_the_answer_and_what_is_ruled_out_follow_from_the_secret():
    bank = Bank(load("judge", JudgeSettings, ["data=easy"]).data)
    games = [compose(bank.deck(2), Random(seed), 5.0) for seed in range(40)]
    assert {game.answer for game in games} == set(range(CHOICES))
    assert len({game.salt for game in games}) == len({game.id for game in games}) == 40


def test_a_mix_without_short_answers_makes_no_game():
    class Long:
        def held_out(self, number):
            return {"question": "q", "answer": None if number % 2 else "long " * 100, "metadata": {}}

    with pytest.raises(NoGame):
        compose(Long(), Random(1), 0.0)


def test_a_set_whose_answers_are_all_the_same_makes_no_game():
    class Same:
        def held_out(self, number):
            return self.item(number, "same")

        def item(self, number, name):
            answer = None if number % 3 == 2 else "7"
            return {"question": "3 + 4", "answer": answer, "metadata": {"source_dataset": name}}

    with pytest.raises(NoGame, match="short answer"):
        compose(Same(), Random(1), 0.0)


def test_a_wager_is_named_by_what_the_contract_takes_once():
    guess, claim = (
        Guess(peer_id="Qm" + "a" * 44, game=3, clue=1, choice=0, tokens=1),
        Claim(peer_id="Qm" + "b" * 44, game=3),
    )
    assert guess.key == f"guess:3:1:{guess.peer_id}" and claim.key == f"claim:3:{claim.peer_id}"
    assert Wagered(wager=claim, outcome="landed", transaction=None).key == claim.key


def test_the_commitment_is_what_the_contract_computes():
    expected = keccak(encode(["uint256", "bytes32"], [1, b"\x5a" * 32]))
    assert commitment_of(PROPOSAL) == "0x" + expected.hex()


# ---- moves ----


def move(table_=None, shown_at=0.0, now=1000.0):
    return next_move(PROPOSAL, table_, shown_at, 60.0, now)


def test_a_game_goes_from_clue_to_clue_to_its_answer():
    assert move() == Create(reveal_by=int(1000 + 3 * 60 + SLACK_S))
    assert move(table(shown=0)) == Show(0)
    assert move(table(shown=1), shown_at=990.0) is None
    assert move(table(shown=1), shown_at=940.0) == Show(1)
    assert move(table(shown=2), shown_at=990.0) is None
    assert move(table(shown=2), shown_at=940.0) == Close()
    assert move(table(state="closed", shown=2)) == Reveal()
    assert move(table(state="answered")) == Done() == move(table(state="refunded"))


def test_what_came_too_late_is_left_alone():
    assert move(now=1000 + STALE_S + 1) == Done()
    assert move(table(), now=9001.0) == Done()
    assert move(table(state="closed"), now=9001.0) == Done()


def test_a_clue_is_shown_while_its_game_is_open_and_for_no_other_game():
    state = MarketState(
        swarm="s", contract="0x", deals=True, round_tokens=1, granted=1, balances={}, game=table(shown=2)
    )
    dealing = Dealing(proposal="p", game=0, shown_at=1.0)
    told = clue_of(PROPOSAL, dealing, state)
    assert (told.game_id, told.clue_id, told.rounds_remaining, told.choices) == (0, 1, 1, ("3", "4"))
    assert told.clue.endswith("It is not: 3") and told.is_on
    for other in (None, Dealing(proposal="q", game=0, shown_at=1.0), Dealing(proposal="p", game=1, shown_at=1.0)):
        assert clue_of(PROPOSAL, other, state) == Clue()
    for game in (None, table(shown=0), table(state="closed")):
        assert clue_of(PROPOSAL, dealing, state.model_copy(update={"game": game})) == Clue()
    assert Clue().game_id == NO_GAME and not Clue().is_on


# ---- bets ----


def test_the_even_rule_bets_the_balance_over_the_clues_left_on_the_likeliest():
    assert [even(stand(left=left)) for left in (3, 2, 1)] == [Bet(0, 33), Bet(0, 50), Bet(0, 100)]
    assert even(stand(balance=0)) == Bet(0, 0)


def test_kelly_bets_more_the_surer_it_is_and_nothing_without_an_edge():
    tokens = [kelly(stand((p, *[(1 - p) / 3] * 3), left=1, clues=1)).tokens for p in (0.25, 0.4, 0.6, 0.9)]
    assert tokens == sorted(tokens) and tokens[0] == 0 < tokens[1]
    assert tokens[-1] <= 50, "half of Kelly's share is at most half of the balance"


def test_kelly_leaves_a_crowded_choice_for_one_that_pays():
    crowded = stand((0.5, 0.5, 0.0, 0.0), left=1, clues=1, bets=(900, 100, 0, 0), weights=(900, 100, 0, 0))
    assert kelly(crowded).choice == 1


@given(st.floats(0, 1), st.floats(0, 1000))
def test_kellys_share_is_a_share(chance, odds):
    assert 0 <= kelly_share(chance, odds) <= 1
    assert kelly_share(chance, 0.0) == 0


@given(
    st.lists(st.floats(-50, 0), min_size=2, max_size=8),
    st.sets(st.integers(0, 7)),
    st.floats(0.25, 16),
)
def test_chances_sum_to_one_and_what_is_ruled_out_has_none(scores, out, temperature):
    chances = chances_of(scores, frozenset(out), temperature)
    assert sum(chances) == pytest.approx(1)
    if len(out & set(range(len(scores)))) < len(scores):
        assert all(chances[place] == 0 for place in out if place < len(scores))


def test_a_model_that_was_too_sure_is_believed_less_and_one_with_few_games_as_it_is():
    sure = (0.97, 0.01, 0.01, 0.01)
    often_wrong = [(sure, number % 4) for number in range(40)]
    assert temperature_of(often_wrong) > 2
    assert temperature_of(often_wrong[: LEAST_GAMES - 1]) == 1
    assert temperature_of([((0.4, 0.2, 0.2, 0.2), 0)] * 40) < 1
    assert max(corrected(sure, temperature_of(often_wrong))) < 0.6
    assert corrected((0.5, 0.5, 0.0), 2.0) == (0.5, 0.5, 0.0)
