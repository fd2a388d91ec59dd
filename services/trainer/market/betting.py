"""How much to bet on which choice, pure.

even     the whole balance over the clues that are left: balance / rounds_remaining on the likeliest choice. The rule of
         RL Swarm's own nodes.
kelly    half of Kelly's share of the balance (Kelly 1956, Bell Syst. Tech. J. 35, 917-926) on the choice by which the
         balance is expected to grow most, at the odds that the bets so far give, the model's chances corrected by how
         its earlier ones turned out.

A right bet comes back with a share of the wrong ones, in proportion to its weight (tokens times clues left). Of L
tokens on other choices and a weight W on ours, a token of weight w earns about w L / W: these are the odds. Before
anybody has bet they are unknown: every choice is taken to carry an even bet of one more player.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HALF = 0.5  # of Kelly's share: odds and chances are estimates, and too much costs more than too little
LEAST_GAMES = 8  # before which a model's chances are believed as they are
FLOOR = 1e-6  # of a chance
TEMPERATURES = tuple(2 ** (step / 4) for step in range(-8, 17))  # 1/4 to 16
DOUBT = 2.0  # weight of "as they are" against the evidence: squared log2 of the temperature


@dataclass(frozen=True)
class Stand:
    """What a bettor knows."""

    chances: tuple[float, ...]  # of each choice, summing to 1
    balance: int  # tokens
    left: int  # clues from this one to the last, at least 1
    clues: int  # of the game
    bets: tuple[int, ...]  # tokens on each choice so far
    weights: tuple[int, ...]


@dataclass(frozen=True)
class Bet:
    """Tokens on a choice."""

    choice: int
    tokens: int


def even(stand: Stand) -> Bet:
    """See above; no tokens where there are none."""
    return Bet(_likeliest(stand.chances), stand.balance // stand.left)


def kelly(stand: Stand) -> Bet:
    """See above; no tokens where no bet is worth it."""
    prior = max(1.0, stand.balance / stand.clues)
    lost, found = sum(stand.bets) + prior * len(stand.chances), Bet(_likeliest(stand.chances), 0)
    best = 0.0
    for choice, chance in enumerate(stand.chances):
        odds = stand.left * (lost - stand.bets[choice] - prior) / (stand.weights[choice] + prior * stand.clues)
        share = HALF * kelly_share(chance, odds)
        growth = chance * math.log1p(share * odds) + (1 - chance) * math.log1p(-share)
        if growth > best:
            best, found = growth, Bet(choice, int(share * stand.balance))
    return found


def kelly_share(chance: float, odds: float) -> float:
    """Of what one has, at odds of `odds` to 1: (p (odds + 1) - 1) / odds, and nothing where that is below 0."""
    return 0.0 if odds <= 0 else max(0.0, (chance * (odds + 1) - 1) / odds)


RULES: dict[str, Callable[[Stand], Bet]] = {"even": even, "kelly": kelly}


def chances_of(scores: Sequence[float], out: frozenset[int], temperature: float = 1.0) -> tuple[float, ...]:
    """Softmax of the choices' scores, log-probabilities; 0 for those that are ruled `out`, if others are left."""
    open_ = [place for place in range(len(scores)) if place not in out] or list(range(len(scores)))
    top = max(scores[place] for place in open_)
    raised = {place: math.exp((scores[place] - top) / temperature) for place in open_}
    total = sum(raised.values())
    return tuple(raised.get(place, 0.0) / total for place in range(len(scores)))


def corrected(chances: Sequence[float], temperature: float) -> tuple[float, ...]:
    """The same chances, flatter above temperature 1 and sharper below."""
    out = frozenset(place for place, chance in enumerate(chances) if chance <= 0)
    return chances_of([math.log(max(chance, FLOOR)) for chance in chances], out, temperature)


def temperature_of(history: Sequence[tuple[Sequence[float], int]]) -> float:
    """By which past chances best foretold the right choices (Guo et al. 2017, arXiv 1706.04599); 1 for few games."""
    if len(history) < LEAST_GAMES:
        return 1.0

    def merit(temperature: float) -> float:
        found = sum(math.log(max(corrected(chances, temperature)[right], FLOOR)) for chances, right in history)
        return found - DOUBT * math.log2(temperature) ** 2

    return max(TEMPERATURES, key=merit)


def _likeliest(chances: Sequence[float]) -> int:
    return max(range(len(chances)), key=lambda place: chances[place])
