"""What a trainer tells the household while it works, and what it does when nobody takes its submissions."""

import asyncio
import time

import pytest

from services.trainer import metrics
from services.trainer.activity import Diary
from services.trainer.loop import Trainer
from services.trainer.outbox import Outbox
from services.trainer.service import rounds
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import REMEMBERED, Progress
from shared.health import Health
from shared.household import Activity, activities
from shared.messages import Reward, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.queue.redis import RedisError
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROUNDS, SUBMISSIONS
from tests.examples import ALICE


@pytest.fixture
def context():
    return Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))


def trainer_of(context, folder):
    return Trainer(load("trainer", TrainerSettings, [f"state_dir={folder}", "exchange_patience_s=0"]), context, ALICE)


def opened(number, seconds=5.0, **change):
    now = time.time()
    return Round(number=number, stage=0, opened_at=now, deadline=now + seconds, **change)


def reward(number):
    return Reward(peer_id=ALICE, round=number, stage=0, points=1)


class Watched(MemoryStore):
    """A store that remembers what was put."""

    def __init__(self):
        super().__init__()
        self.seen: list[Activity] = []

    async def put(self, key, value, *, ttl_s=None):
        if key.endswith(ALICE):
            self.seen.append(Activity.model_validate_json(value))
        await super().put(key, value, ttl_s=ttl_s)


async def test_every_part_of_a_round_is_told_once_when_it_begins(tmp_path):
    context = Context(MemoryQueue(), Watched(), Health("trainer", "one", 60))
    trainer = trainer_of(context, tmp_path)
    await trainer.rest()
    await trainer.rest()
    await trainer.play(opened(4))
    await trainer.rest()
    await trainer.play_alone()
    assert [(one.phase, one.round) for one in context.store.seen] == [
        ("waiting", -1),
        ("sampling", 4),
        ("exchanging", 4),
        ("learning", 4),
        ("saving", 4),
        ("waiting", 4),
        ("sampling", -1),
        ("learning", -1),
        ("saving", -1),
    ]
    since = [one.since for one in context.store.seen]
    assert since == sorted(since)


async def test_who_answers_goes_back_to_what_was_done_before(context):
    diary = Diary(context, ALICE)
    await diary("exchanging", 3)
    async with diary.answering():
        assert (await activities(context.store))[ALICE].phase == "answering"
    assert (await activities(context.store))[ALICE].phase == "exchanging"


async def test_a_word_is_told_again_before_it_expires(monkeypatch):
    monkeypatch.setattr("services.trainer.activity.AGAIN_S", 0.0)
    context = Context(MemoryQueue(), Watched(), Health("trainer", "one", 60))
    diary = Diary(context, ALICE)
    await diary("waiting", 3)
    await diary("waiting", 3)
    first, second = context.store.seen
    assert first == second


async def test_a_store_that_takes_no_word_costs_no_round(tmp_path):
    class Deaf(MemoryStore):
        async def put(self, key, value, *, ttl_s=None):
            raise RedisError("OOM command not allowed")

    context = Context(MemoryQueue(), Deaf(), Health("trainer", "one", 60))
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(4))
    assert trainer.progress.round == 4


def fill(context, room=0):
    """Leave place for `room` more submissions."""
    text = SUBMISSIONS.encode(reward(10**6))
    for _ in range(SUBMISSIONS.bound - room):
        context.queue.write(SUBMISSIONS, text)


async def test_a_full_outbox_stops_no_training_and_is_filled_again_when_there_is_room(context, tmp_path):
    fill(context)
    before = metrics.HELD_BACK._value.get()
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(4))
    await trainer.play(opened(5))
    assert trainer.progress.round == 5
    assert "100000 wait for the chain" in context.health.state()["degraded"]["submissions"]
    assert metrics.HELD_BACK._value.get() == before + 4
    context.queue._log(SUBMISSIONS).entries.clear()
    await trainer.resend()
    sent = [entry.message for entry in await context.queue.read(SUBMISSIONS)]
    assert [(one.kind, one.round) for one in sent] == [("reward", 4), ("winners", 4), ("reward", 5), ("winners", 5)]
    assert "submissions" not in context.health.state()["degraded"]


async def test_of_what_waits_for_room_the_oldest_is_lost_at_last(context):
    fill(context, room=1)
    outbox, before = Outbox(context), metrics.LOST._value.get()
    for number in range(REMEMBERED + 6):
        await outbox.send(reward(number))
    assert metrics.LOST._value.get() == before + 5
    context.queue._log(SUBMISSIONS).entries.clear()
    await outbox.flush()
    assert [entry.message.round for entry in await context.queue.read(SUBMISSIONS)] == list(range(6, REMEMBERED + 6))


async def test_what_waits_for_room_is_not_sent_to_another_swarm(context, tmp_path):
    fill(context)
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(4, swarm="old"))
    context.queue._log(SUBMISSIONS).entries.clear()
    await trainer.play(opened(0, swarm="new"))
    assert {entry.message.round for entry in await context.queue.read(SUBMISSIONS)} == {0}


async def test_a_swarm_that_is_paused_is_waited_for_and_training_alone_begins_only_without_any_word(context):
    await context.queue.publish(ROUNDS, opened(3, paused=True))
    following = rounds(context, Progress(round=2), solo_after_s=0.05)
    assert (await anext(following)).number == 3  # a paused round is trained like any other
    waiting = asyncio.ensure_future(anext(following))
    assert await asyncio.wait({waiting}, timeout=0.8) == (set(), {waiting})
    assert context.health.state()["degraded"] == {}
    await context.queue.publish(ROUNDS, opened(3, seconds=-1, paused=True))  # nobody moves its deadline any more
    assert await asyncio.wait_for(waiting, 3) is None
    await following.aclose()


async def test_a_swarm_that_goes_on_is_followed_again(context):
    await context.queue.publish(ROUNDS, opened(3, paused=True))
    following = rounds(context, Progress(round=3), solo_after_s=60)
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.1)
    await context.queue.publish(ROUNDS, opened(3))
    await context.queue.publish(ROUNDS, opened(4))
    assert (await asyncio.wait_for(waiting, 3)).number == 4
    await following.aclose()
