"""A node that is too slow for all its questions, in a swarm that waits for nobody."""

import asyncio
import time
from dataclasses import replace

import torch

from services.trainer.loop import Trainer
from services.trainer.service import rounds
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.messages import Round, Winners
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROUNDS, SUBMISSIONS
from tests.examples import ALICE

ROUNDS_PLAYED, OPEN_S, QUESTION_S = 40, 1.5, 0.25
SMALL = ("policy.model=embedded", "exchange_patience_s=0", "game.completions=2", "game.max_new_tokens=4")


class Slow:
    """A game whose every question takes its time."""

    def __init__(self, game):
        self._game, self.asked = game, []

    def __getattr__(self, name):
        return getattr(self._game, name)

    def sample(self, step, questions, *rest):
        time.sleep(QUESTION_S * len(questions))
        self.asked.append(questions)
        return self._game.sample(step, questions, *rest)


class Graded(Slow):
    """A game in which every second answer is right, so that there is something to learn."""

    def sample(self, step, questions, *rest):
        groups = self._game.sample(step, questions, *rest)
        return [replace(one, rewards=tuple(float(k % 2) for k in range(len(one.completions)))) for one in groups]


def weights(trainer):
    return torch.cat([p.detach().flatten().clone() for p in trainer.policy.model.parameters()])


class Prompt(MemoryQueue):
    """A coordinator that opens the next round with the vote."""

    async def publish(self, stream, message):
        await super().publish(stream, message)
        if isinstance(message, Winners):
            now = time.time()
            following = Round(number=message.round + 1, stage=0, opened_at=now, deadline=now + 20)
            await super().publish(ROUNDS, following)


async def lead(context):
    """Rounds that end at their deadline whoever is through; those in which ALICE was through in time."""
    in_time = []
    for number in range(ROUNDS_PLAYED):
        now = time.time()
        final = number + 1 == ROUNDS_PLAYED
        await context.queue.publish(
            ROUNDS, Round(number=number, stage=0, opened_at=now, deadline=now + OPEN_S, final=final)
        )
        await asyncio.sleep(OPEN_S)
        keys = {entry.message.key for entry in await context.queue.read(SUBMISSIONS, limit=1_000)}
        if {f"reward:{number}:0:{ALICE}", f"winners:{number}:{ALICE}"} <= keys:
            in_time.append(number)
    return in_time


async def test_a_slow_node_contributes_in_95_of_100_rounds_and_asks_each_question_once(tmp_path):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "slow", 60))
    trainer = Trainer(load("trainer", TrainerSettings, [f"state_dir={tmp_path}", *SMALL]), context, ALICE)
    slow = trainer.game = Slow(trainer.game)
    assert trainer.settings.questions * QUESTION_S > OPEN_S  # all of them never fit
    leading = asyncio.create_task(lead(context))
    async for round_ in rounds(context, trainer.progress, solo_after_s=60):
        await trainer.play(round_)
    in_time = await leading
    assert len(in_time) >= 0.95 * ROUNDS_PLAYED, [len(one) for one in slow.asked]
    numbers = [number for questions in slow.asked for number in questions]
    assert numbers == list(range(len(numbers)))  # none skipped, none twice
    assert len(numbers) > 2 * len(slow.asked)  # and as much is done as there is time for


async def test_a_round_that_ends_with_our_own_vote_is_not_missed(tmp_path):
    context = Context(Prompt(), MemoryStore(), Health("trainer", "one", 60))
    trainer = Trainer(load("trainer", TrainerSettings, [f"state_dir={tmp_path}", *SMALL]), context, ALICE)
    now = time.time()
    await trainer.play(Round(number=0, stage=0, opened_at=now, deadline=now + 20))
    assert trainer.progress.pace.laps and trainer.progress.pace.open_s is None


async def test_work_that_comes_too_late_for_its_round_is_learnt_from_all_the_same(tmp_path):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "slow", 60))
    trainer = Trainer(load("trainer", TrainerSettings, [f"state_dir={tmp_path}", *SMALL[:2]]), context, ALICE)
    trainer.game = Graded(trainer.game)
    before = weights(trainer)
    now = time.time()
    over = Round(number=4, stage=0, opened_at=now - 9, deadline=now - 1)
    await context.queue.publish(ROUNDS, Round(number=5, stage=0, opened_at=now - 1, deadline=now + 20))
    await trainer.play(over)
    assert not torch.equal(before, weights(trainer))
    assert trainer.progress.step == 1 and trainer.progress.pace.open_s is not None
