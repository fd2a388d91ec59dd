"""Somebody asks the model a question: answered by the first of the household's trainers that has a moment.

    ASKS --one at a time--> prompt, as in training --> token by token, in a thread --> ANSWERS, a piece each 0.2 s

Never beside training: between two rounds, while no round is open, and once in a round's exchange. Training is the
same with and without: nothing here changes a weight or draws from training's randomness.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import torch

from services.trainer import metrics, worker
from services.trainer.activity import Diary
from services.trainer.forward.sampling import stream
from services.trainer.model.policy import Policy
from services.trainer.settings import GameSettings
from shared.asks import Ask, Piece
from shared.runtime import Context
from shared.streams import ANSWERS, ASKS
from shared.tasks import seed_of

log = logging.getLogger(__name__)

MAX_TOKENS = 512  # of an answer
TEMPERATURE = 0.6
TOO_OLD_S = 120.0  # whoever asked is no longer there
# Shorter than the time after which the queue hands a question to another trainer; a round may wait for so long.
LONGEST_S = 20.0
PIECE_S = 0.2
HALF = "\ufffd"  # what a character looks like of which not all bytes are there


class Unanswerable(Exception):
    """Why there is no answer, for the one who asked."""


class Answers:
    """Answers with the model as it is."""

    def __init__(self, context: Context, policy: Policy, game: GameSettings, diary: Diary, peer: str) -> None:
        self._context, self._policy, self._diary, self._peer = context, policy, diary, peer
        tokens = min(MAX_TOKENS, game.max_new_tokens)
        self._game = game.model_copy(update={"temperature": TEMPERATURE, "max_new_tokens": tokens})
        self._given = False  # in this round
        self.round = -1  # the last one the model has learnt from

    def begin_round(self) -> None:
        """One answer may be given in this round."""
        self._given = False

    async def once(self) -> None:
        """One answer, if somebody asks and none was given in this round."""
        if not self._given:
            self._given = await self.one()

    async def one(self) -> bool:
        """One answer, if somebody asks; whether somebody did."""
        queue, me = self._context.queue, self._context.health.instance
        for delivery in await queue.receive(ASKS, me, limit=1, wait_s=0.0):
            async with self._diary.answering():
                await self._answer(delivery.message)
            await queue.ack(ASKS, delivery)
            return True
        return False

    async def _answer(self, ask: Ask) -> None:
        if time.time() - ask.at > TOO_OLD_S:
            metrics.ASKED.labels("too_old").inc()
            await self._publish(ask, 0, "", done=True, error="too old")
            return
        told: asyncio.Queue[str | None] = asyncio.Queue()
        loop, began = asyncio.get_running_loop(), time.monotonic()
        left = False  # nobody listens to the thread any more

        def is_cut() -> bool:
            return left or self._context.stop.is_set() or time.monotonic() - began > LONGEST_S

        def tell(text: str) -> None:
            loop.call_soon_threadsafe(told.put_nowait, text)

        work = asyncio.ensure_future(worker.work(self._write, ask, tell, is_cut))
        work.add_done_callback(lambda _: told.put_nowait(None))
        place = 0
        try:
            while (text := await told.get()) is not None:
                await self._publish(ask, place, text)
                place += 1
            await self._finish(ask, place, work)
        finally:
            left = True
            await asyncio.wait({work})

    async def _finish(self, ask: Ask, place: int, work: asyncio.Future[str]) -> None:
        try:
            rest, error = work.result(), ""
        except Unanswerable as reason:
            rest, error = "", str(reason)
        except Exception as failure:  # third-party models raise anything on odd input; training goes on without it
            log.warning("a question could not be answered: %s: %s", type(failure).__name__, failure)
            rest, error = "", f"the model failed ({type(failure).__name__})"
        metrics.ASKED.labels("failed" if error else "answered").inc()
        await self._publish(ask, place, rest, done=True, error=error)

    async def _publish(self, ask: Ask, place: int, text: str, *, done: bool = False, error: str = "") -> None:
        piece = Piece(ask=ask.id, place=place, peer_id=self._peer, round=self.round, text=text, done=done, error=error)
        await self._context.queue.publish(ANSWERS, piece)
        self._context.health.beat()

    def _write(self, ask: Ask, tell: Callable[[str], None], is_cut: Callable[[], bool]) -> str:
        """Sample the answer and tell it piece by piece; what is left to tell at its end. Raises Unanswerable."""
        prompt = self._policy.prompt(ask.question)
        game = self._game.model_copy(update={"max_new_tokens": self._room(prompt)})
        generator = torch.Generator(self._policy.device).manual_seed(seed_of("ask", ask.id))
        ids, shown, told_at = list[int](), "", time.monotonic()
        with closing(stream(self._policy, prompt, game, generator)) as tokens:
            for token in tokens:
                ids.append(token)
                if time.monotonic() - told_at < PIECE_S:
                    continue
                text, told_at = self._policy.decode(ids).text, time.monotonic()
                if text.startswith(shown) and text != shown and not text.endswith(HALF):
                    tell(text[len(shown) :])
                    shown = text
                if is_cut():
                    raise Unanswerable("cut off: it took too long, or the trainer was stopped")
        return self._policy.decode(ids).text[len(shown) :]

    def _room(self, prompt: Sequence[int]) -> int:
        """Tokens there may be behind the prompt. Raises Unanswerable."""
        reads = getattr(self._policy.model.config.get_text_config(), "max_position_embeddings", None)
        room = self._game.max_new_tokens if reads is None else min(self._game.max_new_tokens, reads - len(prompt))
        if room < 1:
            raise Unanswerable("the question is longer than the model reads")
        return room
