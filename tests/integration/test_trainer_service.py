"""The trainer's life on the in-process queue: leases, rounds, exchange, degraded modes."""

import asyncio
import os
import resource
import subprocess
import time

import pytest

from services.trainer.checkpoint import Progress
from services.trainer.exchange import PeerFeed, Want, collect
from services.trainer.loop import Trainer
from services.trainer.peer import keep_lease, lease_peer
from services.trainer.service import rounds
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.household import LEASE, put_hosted_peers
from shared.messages import Rollouts, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS, SUBMISSIONS
from tests.examples import ALICE, BOB, EXAMPLES

BOBS = next(example for example in EXAMPLES if isinstance(example, Rollouts)).model_copy(update={"peer_id": BOB})


def context_of(instance="one", store=None, queue=None):
    return Context(queue or MemoryQueue(), store or MemoryStore(), Health("trainer", instance, 60))


def opened(number, seconds=5.0, **change):
    now = time.time()
    return Round(number=number, stage=0, opened_at=now, deadline=now + seconds, **change)


def trainer_of(context, tmp_path, *overrides):
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "exchange_patience_s=0", *overrides])
    return Trainer(settings, context, ALICE)


async def all_of(queue, stream):
    return [entry.message for entry in await queue.read(stream, limit=10_000)]


async def test_two_trainers_take_two_peers_and_a_restarted_one_takes_its_own_again():
    store = MemoryStore()
    await put_hosted_peers(store, [ALICE, BOB])
    one, two = context_of("one", store), context_of("two", store)
    assert {await lease_peer(one), await lease_peer(two)} == {ALICE, BOB}
    mine = BOB if await store.get(LEASE + BOB) == "two" else ALICE
    assert await lease_peer(context_of("two", store)) == mine


async def test_a_trainer_without_a_free_peer_waits_and_says_so():
    store = MemoryStore()
    context = context_of("one", store)
    waiting = asyncio.create_task(lease_peer(context))
    await asyncio.sleep(0.05)
    assert "peer" in context.health.state()["degraded"]
    await put_hosted_peers(store, [BOB])
    assert await asyncio.wait_for(waiting, 3) == BOB
    assert context.health.state()["degraded"] == {}


async def test_a_stopped_trainer_gives_its_peer_back():
    context = context_of()
    await put_hosted_peers(context.store, [ALICE])
    await lease_peer(context)
    context.stop.set()
    await keep_lease(context, ALICE)
    assert await context.store.get(LEASE + ALICE) is None
    assert await lease_peer(context) is None


async def test_only_the_newest_round_is_played_and_the_final_one_is_the_last():
    context = context_of()
    for number in range(3):
        await context.queue.publish(ROUNDS, opened(number))
    played = []
    async for round_ in rounds(context, Progress(round=0), solo_after_s=60):
        played.append(round_.number)
        if round_.number < 5:
            await context.queue.publish(ROUNDS, opened(round_.number + 1, final=round_.number == 4))
    assert played == [2, 3, 4, 5]


async def test_a_chain_that_was_begun_anew_counts_from_nothing_and_is_followed():
    context = context_of()
    await context.queue.publish(ROUNDS, opened(0, swarm="new", final=True))
    assert [r.number async for r in rounds(context, Progress(round=99, swarm="old"), 60) if r] == [0]


async def test_without_rounds_the_trainer_goes_on_alone_until_one_opens():
    context = context_of()
    seen = []
    async for round_ in rounds(context, Progress(), solo_after_s=0.05):
        seen.append(round_ and round_.number)
        if len(seen) == 2:
            assert "rounds" in context.health.state()["degraded"]
            await context.queue.publish(ROUNDS, opened(7, final=True))
    assert seen == [None, None, 7]
    assert context.health.state()["degraded"] == {}


async def test_a_round_leaves_rollouts_a_reward_a_vote_a_checkpoint_and_events(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await context.queue.publish(ROLLOUTS_PEER, BOBS.model_copy(update={"round": 4}))
    await trainer.play(opened(4))
    (rollouts,) = await all_of(context.queue, ROLLOUTS_LOCAL)
    reward, vote = await all_of(context.queue, SUBMISSIONS)
    trained, sampled = await all_of(context.queue, EVENTS)
    assert (rollouts.peer_id, rollouts.round, len(rollouts.groups)) == (ALICE, 4, trainer.settings.questions)
    assert reward.points == round(1000 * trained.mean_reward)
    assert set(vote.winners) <= {ALICE, BOB}
    assert (trained.external_groups, trained.seen_peers) == (1, 1)
    assert set(trained.seconds) == {"generate", "exchange", "update", "checkpoint"}
    assert sampled.question in {group.question.text for group in rollouts.groups}
    assert (trainer.progress.step, trainer.progress.round, trainer.progress.unsent) == (1, 4, (vote,))


async def test_a_round_repeated_after_a_crash_sends_the_same_again(tmp_path):
    sent = []
    for _ in range(2):  # the second process finds no checkpoint: the first died before it wrote one
        context = context_of()
        trainer = trainer_of(context, tmp_path, "checkpoint_every=99")
        await trainer.play(opened(4))
        sent.append([*(await all_of(context.queue, ROLLOUTS_LOCAL)), *(await all_of(context.queue, SUBMISSIONS))])
    assert sent[0] == sent[1]


async def test_what_a_crash_kept_from_the_queue_is_sent_after_the_restart(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(4))
    vote = (await all_of(context.queue, SUBMISSIONS))[1]
    context = context_of()
    again = trainer_of(context, tmp_path)
    await again.resend()
    assert await all_of(context.queue, SUBMISSIONS) == [vote]
    assert again.progress.step == 1


async def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(1))
    kept = list(trainer.checkpoints.folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # writes beyond fail as they do on a full disk
    try:
        await trainer.play(opened(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "free space" in context.health.state()["degraded"]["checkpoint"]
    assert list(trainer.checkpoints.folder.iterdir()) == kept
    await trainer.play(opened(3))
    assert "checkpoint" not in context.health.state()["degraded"]
    assert trainer_of(context, tmp_path).progress.round == 3


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 9 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(tmp_path)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"this machine does not let root mount: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
async def test_a_really_full_disk_too(small_disk):
    tmp_path, context = small_disk, context_of()
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(1))
    (tmp_path / "films").write_bytes(b"x" * (os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_bsize - 4096))
    await trainer.play(opened(2))
    assert "No space left" in context.health.state()["degraded"]["checkpoint"]
    assert trainer_of(context_of(), tmp_path).progress.round == 1


async def test_training_alone_sends_nothing(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await trainer.play_alone()
    assert trainer.progress.step == 1
    for stream in (ROLLOUTS_LOCAL, SUBMISSIONS, EVENTS):
        assert await all_of(context.queue, stream) == []


async def test_the_exchange_takes_the_rounds_own_rollouts_of_others_only(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    for rollouts in (
        BOBS.model_copy(update={"round": 3}),
        BOBS.model_copy(update={"round": 4}),
        BOBS.model_copy(update={"round": 4, "peer_id": ALICE}),
        BOBS.model_copy(update={"round": 5}),
    ):
        await context.queue.publish(ROLLOUTS_PEER, rollouts)
    feed = PeerFeed(context.queue, ALICE)
    got = await collect(context, feed, trainer.game, opened(4), Want(1, 8, 5.0), trainer._random("x"))
    assert [(group.author, group.rewards) for group in got] == [(BOB, (1.0, 0.0))]
    assert feed.of(opened(3)) == {} and set(feed.of(opened(5))) == {BOB}
    assert feed.expected() == {BOB}


async def test_the_exchange_ends_at_the_deadline_and_with_the_next_round(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    late = opened(4, seconds=-1)
    start = time.monotonic()
    assert await collect(context, trainer.feed, trainer.game, late, Want(1, 8, 60), trainer._random("x")) == []
    await context.queue.publish(ROUNDS, opened(6))
    assert await collect(context, trainer.feed, trainer.game, opened(5, 60), Want(1, 8, 60), trainer._random("x")) == []
    assert time.monotonic() - start < 3


async def test_of_too_many_peers_a_random_choice_is_scored(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    for k in "abcdefgh":
        await context.queue.publish(ROLLOUTS_PEER, BOBS.model_copy(update={"round": 4, "peer_id": "Qm" + k * 44}))
    got = await collect(context, trainer.feed, trainer.game, opened(4), Want(1, 3, 0.0), trainer._random("x"))
    assert len({group.author for group in got}) == 3
