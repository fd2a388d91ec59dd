"""The prediction market on the page."""

from services.identity.live import View
from services.identity.sections import sections
from services.identity.shown.around import Around
from services.identity.shown.market import GAMES, Seen, calibration
from shared.market import Clue, MarketState, Placed, Played, Table
from tests.identity_kit import ME, OTHER

CHOICES = ("14", "21\u202e", "<b>", "9")


def table(game=0, **changes):
    told = {"game": game, "state": "open", "choices": 4, "clues": 3, "shown": 2, "answer": None, "reveal_by": 9}
    return Table(**{**told, "commitment": "0x", "bets": (0, 30, 10, 0), "weights": (0, 90, 20, 0), **changes})


def state(**changes):
    told = {"swarm": "s", "contract": "0xc", "deals": True, "round_tokens": 100, "granted": 150}
    return MarketState(**{**told, "balances": {ME: 60, OTHER: 50}, "game": table(), **changes})


def clue(**changes):
    told = {"game_id": 0, "clue_id": 1, "rounds_remaining": 2, "clue": "3 * 7\nIt is not: 9", "choices": CHOICES}
    return Clue(**{**told, **changes})


def bet(choice=1, tokens=30, chances=(0.1, 0.7, 0.2, 0.0)):
    return Placed(peer=ME, clue=0, choice=choice, tokens=tokens, chances=chances)


BET = bet()


def game(number=0, answer=1, placed=(BET,), swarm="s", **changes):
    told = {"state": "answered" if answer is not None else "open", "answer": answer}
    return Played(swarm=swarm, table=table(number, **told), question="3 * 7", choices=CHOICES, placed=placed, **changes)


def shown(*games, **changes):
    seen = Seen(**{"state": state(), "clue": clue(), "played": games, **changes})
    return sections(View(), Around(hosted=[ME], market=seen))["market"]


def test_without_a_market_there_is_nothing():
    assert sections(View(), Around())["market"] is None


def test_the_game_that_is_on_is_shown_with_its_odds_and_our_bets():
    told = shown(game(answer=None))
    assert (told["tokens"], told["contract"], told["deals"]) == (60, "0xc", True)
    now = told["now"]
    assert (now["game"], now["clue"], now["clues"], now["question"]) == (0, 2, 3, "3 * 7")
    assert [one["tokens"] for one in now["choices"]] == [0, 30, 10, 0]
    assert [one["share"] for one in now["choices"]] == [0, 0.75, 0.25, 0]
    assert [one["out"] for one in now["choices"]] == [False, False, False, True]
    assert [one["mine"] for one in now["choices"]] == [0, 30, 0, 0]
    assert now["choices"][1]["text"] == "21\ufffd"
    empty = shown(state=state(game=table(bets=(0,) * 4)))["now"]["choices"]
    assert {one["share"] for one in empty} == {None}


def test_a_clue_of_no_game_or_of_another_is_not_shown():
    for changes in ({"clue": None}, {"clue": Clue()}, {"clue": clue(game_id=7)}, {"state": state(game=None)}):
        assert shown(**changes)["now"] is None


def test_games_are_listed_the_latest_first_with_what_they_brought():
    games = [game(number, paid={ME: 40}) for number in range(GAMES + 2)]
    listed = shown(*games, game(99, swarm="another"), Played(swarm="s", table=table(98)))["games"]
    assert [one["game"] for one in listed] == list(range(GAMES + 1, 1, -1))
    first = listed[0]
    assert (first["answer"], first["staked"], first["paid"], first["state"]) == ("21\ufffd", 30, 40, "answered")
    (only,) = first["bets"]
    assert (only["choice"], only["chance"], only["right"], only["clue"]) == ("21\ufffd", 0.7, True, 1)


def test_a_bet_of_which_little_is_known_is_shown_too():
    unknown = Played(swarm="s", table=table(answer=None), placed=(bet(choice=9, chances=()),))
    (listed,) = shown(unknown)["games"]
    assert (listed["answer"], listed["bets"][0]["choice"]) == (None, "9")
    assert listed["bets"][0]["chance"] is listed["bets"][0]["right"] is None


def test_calibration_says_how_often_what_was_thought_likely_was_right():
    sure, wrong = bet(chances=(0.0, 1.0, 0.0, 0.0)), bet(chances=(0.5, 0.5, 0.0, 0.0))
    told = calibration([game(0, placed=(sure, wrong)), game(1, answer=None), game(2, placed=(bet(chances=()),))])
    assert told["bets"] == 2 and told["brier"] == 0.25
    assert told["points"] == [{"sure": 0.5, "right": 0.5, "count": 2}, {"sure": 1.0, "right": 1.0, "count": 1}]
    assert calibration([]) == {"bets": 0, "brier": None, "points": []}
