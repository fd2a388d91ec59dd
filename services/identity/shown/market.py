"""The prediction market: the game that is on and its odds; our bets; how sure the models were, and how often right."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from services.identity.shown.texts import label, plain
from shared.market import Clue, MarketState, Placed, Played, question_of, ruled_out
from shared.names import name_of

Section = Any  # JSON-able

GAMES = 12  # that are listed
BINS = 5  # of chances, from 0 to 1
LONGEST = 400  # characters of a question


@dataclass(frozen=True)
class Seen:
    """What the store has of the market."""

    state: MarketState
    clue: Clue | None = None
    played: Sequence[Played] = ()


def market(seen: Seen | None, own: Container[str]) -> Section:
    """None where there is no market."""
    if seen is None:
        return None
    state, games = seen.state, [game for game in seen.played if game.swarm == seen.state.swarm]
    placed = {game.table.game: game.placed for game in games}
    return {
        "contract": state.contract,
        "deals": state.deals,
        "tokens": sum(tokens for peer, tokens in state.balances.items() if peer in own),
        "now": _now(seen.clue, state, placed),
        "games": [_game(game) for game in reversed(games) if game.placed or game.choices][:GAMES],
        "calibration": calibration(games),
    }


def _now(clue: Clue | None, state: MarketState, placed: dict[int, tuple[Placed, ...]]) -> Section:
    table = state.game
    if clue is None or not clue.is_on or table is None or table.game != clue.game_id:
        return None
    out, total, mine = ruled_out(clue.clue, clue.choices), sum(table.bets), placed.get(table.game, ())
    return {
        "game": table.game,
        "clue": clue.clue_id + 1,
        "clues": table.clues,
        "question": plain(question_of(clue.clue), LONGEST),
        "choices": [
            {
                "text": label(text),
                "tokens": tokens,
                "share": round(tokens / total, 3) if total else None,
                "out": place in out,
                "mine": sum(bet.tokens for bet in mine if bet.choice == place),
            }
            for place, (text, tokens) in enumerate(zip(clue.choices, table.bets, strict=False))
        ],
    }


def _game(game: Played) -> Section:
    table, choices = game.table, game.choices
    right = choices[table.answer] if table.answer is not None and table.answer < len(choices) else None
    return {
        "game": table.game,
        "state": table.state,
        "question": plain(game.question, LONGEST),
        "answer": None if right is None else label(right),
        "staked": sum(bet.tokens for bet in game.placed),
        "paid": sum(game.paid.values()),
        "bets": [_bet(bet, game) for bet in game.placed],
    }


def _bet(bet: Placed, game: Played) -> Section:
    text = game.choices[bet.choice] if bet.choice < len(game.choices) else str(bet.choice)
    return {
        "name": name_of(bet.peer),
        "clue": bet.clue + 1,
        "choice": label(text),
        "tokens": bet.tokens,
        "chance": round(bet.chances[bet.choice], 3) if bet.choice < len(bet.chances) else None,
        "right": None if game.table.answer is None else bet.choice == game.table.answer,
    }


def calibration(games: Sequence[Played]) -> Section:
    """Chances that our models gave to choices, in bins, and how often those were right; their Brier score (Brier 1950).

    Choices that were ruled out are left out. The Brier score is 0 for certainty about what is right, 2 for certainty
    about what is wrong.
    """
    told = [
        (bet.chances, game.table.answer)
        for game in games
        for bet in game.placed
        if game.table.answer is not None and len(bet.chances) == game.table.choices
    ]
    pairs = [(p, place == right) for chances, right in told for place, p in enumerate(chances) if p > 0]
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for chance, was_right in pairs:
        bins[min(int(chance * BINS), BINS - 1)].append((chance, was_right))
    return {
        "bets": len(told),
        "brier": round(fmean(_brier(chances, right) for chances, right in told), 3) if told else None,
        "points": [
            {
                "sure": round(fmean(chance for chance, _ in some), 3),
                "right": round(fmean(was_right for _, was_right in some), 3),
                "count": len(some),
            }
            for some in bins
            if some
        ],
    }


def _brier(chances: Sequence[float], right: int) -> float:
    return sum((chance - (place == right)) ** 2 for place, chance in enumerate(chances))
