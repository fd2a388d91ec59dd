"""Questions that somebody types, on the real embedded model: answered in pieces, and training does not notice."""

import asyncio
import time

import pytest
import torch

from services.trainer.exchange import Want, collect
from services.trainer.forward.sampling import sample, stream
from services.trainer.loop import Trainer
from services.trainer.service import rounds
from services.trainer.settings import TrainerSettings
from shared.asks import Ask, Piece
from shared.health import Health
from shared.household import activities
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ANSWERS, ASKS, EVENTS, ROUNDS
from tests.examples import ALICE


@pytest.fixture
def context():
    return Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))


def trainer_of(context, folder, *overrides):
    settings = load("trainer", TrainerSettings, [f"state_dir={folder}", "exchange_patience_s=0", *overrides])
    return Trainer(settings, context, ALICE)


def opened(number, seconds=5.0, **change):
    now = time.time()
    return Round(number=number, stage=0, opened_at=now, deadline=now + seconds, **change)


async def ask(context, number=1, question="Calculate 3 * 7.", age_s=0.0):
    await context.queue.publish(ASKS, Ask(id=f"{number:032x}", at=time.time() - age_s, question=question))


async def pieces(context) -> list[Piece]:
    return [entry.message for entry in await context.queue.read(ANSWERS)]


async def test_an_answer_comes_in_pieces_that_make_up_the_text(context, tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.answers.PIECE_S", 0.0)
    trainer = trainer_of(context, tmp_path)
    await ask(context)
    assert await trainer.answers.one()
    told = await pieces(context)
    assert [piece.place for piece in told] == list(range(len(told)))
    assert [piece.done for piece in told] == [False] * (len(told) - 1) + [True]
    assert len(told) > 5
    text = "".join(piece.text for piece in told)
    assert text.startswith("<think>")
    assert {(piece.ask, piece.peer_id, piece.round, piece.error) for piece in told} == {(f"{1:032x}", ALICE, -1, "")}
    assert await context.queue.backlog(ASKS) == 0
    assert not await trainer.answers.one()


async def test_the_same_question_has_the_same_answer_and_another_id_another(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    answers = []
    for number in (1, 1, 2, 3, 4):
        await ask(context, number)
        await trainer.answers.one()
        (piece, *more) = (await pieces(context))[len(answers) :]
        answers.append(piece.text)
        assert more == []
    assert answers[0] == answers[1]
    assert len(set(answers)) > 1


def test_a_stream_of_tokens_is_what_a_batch_of_one_would_be(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    prompt = trainer.policy.prompt("Calculate 3 * 7.")
    game = trainer.settings.game
    ((greedy,),) = sample(trainer.policy, [prompt], game, None)
    assert list(stream(trainer.policy, prompt, game, None)) == greedy
    drawn = list(stream(trainer.policy, prompt, game, torch.Generator().manual_seed(1)))
    alone = game.model_copy(update={"completions": 1})
    assert sample(trainer.policy, [prompt], alone, torch.Generator().manual_seed(1)) == [[drawn]]


async def test_who_asked_too_long_ago_is_told_so(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    await ask(context, age_s=121)
    await trainer.answers.one()
    (piece,) = await pieces(context)
    assert (piece.text, piece.done, piece.error) == ("", True, "too old")


async def test_a_question_longer_than_the_model_reads_is_refused(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    await ask(context, question="3 * " * 1000)
    await trainer.answers.one()
    (piece,) = await pieces(context)
    assert (piece.done, piece.error) == (True, "the question is longer than the model reads")


async def test_a_model_that_fails_is_an_answer_too_and_the_next_question_has_its_own(context, tmp_path, monkeypatch):
    trainer = trainer_of(context, tmp_path)
    forward = trainer.policy.model.forward
    trainer.policy.model.forward = lambda **_: (_ for _ in ()).throw(RuntimeError("CUDA out of memory"))
    await ask(context)
    await trainer.answers.one()
    (piece,) = await pieces(context)
    assert (piece.done, piece.error) == (True, "the model failed (RuntimeError)")
    trainer.policy.model.forward = forward
    await ask(context, 2)
    await trainer.answers.one()
    assert (await pieces(context))[-1].error == ""


async def test_an_answer_ends_when_the_trainer_is_stopped(context, tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.answers.PIECE_S", 0.0)
    trainer = trainer_of(context, tmp_path)
    context.stop.set()
    await ask(context)
    await trainer.answers.one()
    last = (await pieces(context))[-1]
    assert (last.done, last.error[:7]) == (True, "cut off")


async def test_training_with_questions_in_between_is_exactly_the_same_as_without(tmp_path):
    left = []
    for asked in (False, True):
        context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
        trainer = trainer_of(context, tmp_path / str(asked), "exchange_patience_s=0.6")
        for number in range(3):
            if asked:
                await ask(context, number)
                await ask(context, 100 + number)
            await trainer.play(opened(number))  # one is answered in the exchange
            await trainer.answers.one()
        left.append((trainer.progress.sha256, [e.message.mean_reward for e in await trained(context)]))
    assert len(await pieces(context)) >= 6
    assert left[0] == left[1]


async def trained(context):
    return [entry for entry in await context.queue.read(EVENTS) if entry.message.kind == "trained"]


async def test_an_exchange_gives_one_answer_and_no_more(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    for number in range(3):
        await ask(context, number)
    trainer.answers.begin_round()
    want, random = Want(1, 8, 60), trainer._random("x")
    round_ = opened(4, seconds=1.5)
    await collect(context, trainer.feed, trainer.game, round_, want, random, trainer.answers.once)
    await trainer.answers.once()
    assert len({piece.ask for piece in await pieces(context)}) == 1
    trainer.answers.begin_round()
    await trainer.answers.once()
    assert len({piece.ask for piece in await pieces(context)}) == 2


async def test_while_no_round_is_open_everybody_is_answered_and_the_next_round_comes_first(context, tmp_path):
    trainer = trainer_of(context, tmp_path)
    following = rounds(context, trainer.progress, 60, idle=trainer.rest)
    waiting = asyncio.ensure_future(anext(following))
    for number in range(3):
        await ask(context, number)
    while sum(piece.done for piece in await pieces(context)) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert not waiting.done()
    assert (await activities(context.store))[ALICE].phase == "waiting"
    for number in range(10, 20):
        await ask(context, number)
    await context.queue.publish(ROUNDS, opened(0))
    await asyncio.wait_for(waiting, 10)
    assert sum(piece.done for piece in await pieces(context)) <= 3 + 1
    await following.aclose()
