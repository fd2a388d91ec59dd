"""Plays in the prediction market: one bet a clue, made while there is nothing else to do.

    judge --/current_clue/, every second--> clue --(waiting for peers, or for a round)--> scores --> chances --> bet
                                                                                              WAGERS <------------+

Never beside training, and nothing here changes a weight or draws from training's randomness: a pass over a few short
answers. In a round's exchange only a model plays that was seen to be quick.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import httpx
from pydantic import ValidationError

from services.trainer import metrics
from services.trainer.market.betting import RULES, Stand, chances_of, corrected, temperature_of
from services.trainer.market.scores import scores
from services.trainer.model.policy import Policy
from services.trainer.settings import MarketSettings
from services.trainer.worker import work
from shared.errors import QueueFullError
from shared.market import STATE, Clue, MarketState, Played, played, question_of, read, ruled_out
from shared.runtime import Context
from shared.streams import WAGERS
from shared.wagers import Guess

log = logging.getLogger(__name__)

POLL_S = 1.0
TIMEOUT_S = 5.0
QUICK_S = 0.5  # a pass that takes no longer delays nobody who waits for peers
MAX_ANSWER = 256 * 1024  # bytes
REMEMBERED = 64  # clues


class Player:
    """One peer's player."""

    def __init__(
        self, settings: MarketSettings, judge_url: str | None, context: Context, policy: Policy, peer: str
    ) -> None:
        self._rule, self._context, self._policy, self._peer = RULES[settings.bet], context, policy, peer
        self._url = judge_url if settings.enabled else None
        self._clue = Clue()
        self._through: dict[tuple[int, int], None] = {}  # game and clue that are done with, the oldest first
        self._took_s = 0.0  # the last pass

    async def watch(self) -> None:
        """Know the clue that is shown, until told to stop."""
        if self._url is None:
            return
        async with httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT_S) as http:
            while await self._context.sleep(POLL_S):
                self._clue = await _shown(http)

    async def once(self, *, hurried: bool = False) -> None:
        """One bet, if there is something to bet on. `hurried`: a round waits, so only if the model is quick."""
        clue = self._clue
        if not clue.is_on or (clue.game_id, clue.clue_id) in self._through or (hurried and self._took_s > QUICK_S):
            return
        state = await read(self._context.store, STATE, MarketState)
        if state is None or state.game is None or state.game.game != clue.game_id:
            return  # the coordinator has not seen it yet
        self._through[clue.game_id, clue.clue_id] = None
        while len(self._through) > REMEMBERED:
            del self._through[next(iter(self._through))]
        guess = await self._guess(clue, state)
        if guess is not None:
            try:
                await self._context.queue.publish(WAGERS, guess)
            except QueueFullError as error:
                log.warning("no bet on game %d: %s", guess.game, error)
                return
            metrics.BETS.inc()
            log.info(
                "bet %d tokens of game %d on %r (%.0f %%)",
                guess.tokens,
                guess.game,
                clue.choices[guess.choice][:80],
                100 * guess.chances[guess.choice],
            )

    async def _guess(self, clue: Clue, state: MarketState) -> Guess | None:
        began = time.monotonic()
        try:
            found = await work(scores, self._policy, question_of(clue.clue), clue.choices)
        except Exception as failure:  # third-party models raise anything on odd input; training goes on without it
            log.warning("no bet on game %d: %s: %s", clue.game_id, type(failure).__name__, failure)
            return None
        self._took_s = time.monotonic() - began
        balance, game = state.balances.get(self._peer, 0), state.game
        if found is None or game is None or game.choices != len(clue.choices) or not balance:
            return None
        chances = chances_of(found, ruled_out(clue.clue, clue.choices))
        sure = temperature_of(history(await played(self._context.store), self._peer))
        stand = Stand(
            chances=corrected(chances, sure),
            balance=balance,
            left=clue.rounds_remaining,
            clues=max(game.clues, clue.rounds_remaining),
            bets=game.bets,
            weights=game.weights,
        )
        bet = self._rule(stand)
        if bet.tokens < 1:
            return None
        return Guess(
            peer_id=self._peer,
            game=clue.game_id,
            clue=clue.clue_id,
            choice=bet.choice,
            tokens=bet.tokens,
            chances=chances,
        )


def history(games: Sequence[Played], peer: str) -> list[tuple[tuple[float, ...], int]]:
    """What a peer's model thought of the choices of games that have their answer, and which was right."""
    return [
        (one.chances, game.table.answer)
        for game in games
        for one in game.placed
        if one.peer == peer and game.table.answer is not None and len(one.chances) == game.table.choices
    ]


async def _shown(http: httpx.AsyncClient) -> Clue:
    """What the judge shows; nothing where it does not answer as agreed."""
    try:
        response = await http.get("/current_clue/")
        response.raise_for_status()
        return Clue.model_validate_json(response.content[:MAX_ANSWER])
    except (httpx.HTTPError, ValidationError) as error:
        log.debug("the judge shows no clue: %s", error)
        return Clue()
