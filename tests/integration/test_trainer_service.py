"""The trainer's life on the in-process queue: leases, rounds, exchange, degraded modes."""

import asyncio
import hashlib
import os
import resource
import subprocess
import time
from contextlib import ExitStack
from statistics import fmean

import pytest

from services.trainer.exchange import PeerFeed, Want, collect, collect_again
from services.trainer.loop import Trainer
from services.trainer.peer import keep_lease, lease_peer
from services.trainer.service import keep_sent, rounds
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Progress
from shared.errors import SwarmError
from shared.health import Health
from shared.household import LEASE, put_hosted_peers, wishes
from shared.messages import Heard, Rollouts, Round, Sampled, Trained, Winners
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS, SUBMISSIONS
from tests.examples import ALICE, BOB, EXAMPLES, REWARD

BOBS = next(example for example in EXAMPLES if isinstance(example, Rollouts)).model_copy(update={"peer_id": BOB})


def context_of(instance="one", store=None, queue=None):
    return Context(queue or MemoryQueue(), store or MemoryStore(), Health("trainer", instance, 60))


def opened(number, seconds=5.0, **change):
    now = time.time()
    return Round(number=number, stage=0, opened_at=now, deadline=now + seconds, **change)


def trainer_of(context, tmp_path, *overrides):
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "exchange_patience_s=0", *overrides])
    return Trainer(settings, context, ALICE)


async def trained_of(queue):
    return [event for event in await all_of(queue, EVENTS) if isinstance(event, Trained)]


async def all_of(queue, stream):
    return [entry.message for entry in await queue.read(stream, limit=10_000)]


async def test_two_trainers_take_two_peers_and_a_restarted_one_takes_its_own_again(tmp_path):
    store = MemoryStore()
    await put_hosted_peers(store, [ALICE, BOB])
    with ExitStack() as one, ExitStack() as two:
        assert await lease_peer(context_of("one", store), tmp_path, one) == ALICE
        assert await lease_peer(context_of("two", store), tmp_path, two) == BOB
        two.close()  # as the end of its process would
        assert await lease_peer(context_of("two", store), tmp_path, two) == BOB


async def test_a_trainer_without_a_free_peer_waits_says_so_and_wishes_for_one_until_it_has_it(tmp_path):
    store, began = MemoryStore(), time.time()
    context = context_of("one", store)
    with ExitStack() as held:
        waiting = asyncio.create_task(lease_peer(context, tmp_path, held))
        await asyncio.sleep(0.05)
        assert "peer" in context.health.state()["degraded"]
        first = await wishes(store)
        assert began <= first["one"] <= time.time()
        await asyncio.sleep(0.6)
        assert await wishes(store) == first  # since when, not how lately
        await put_hosted_peers(store, [BOB])
        assert await asyncio.wait_for(waiting, 3) == BOB
        assert (context.health.state()["degraded"], await wishes(store)) == ({}, {})


async def test_a_stopped_trainer_gives_its_peer_back_and_wishes_for_none(tmp_path):
    context = context_of()
    await put_hosted_peers(context.store, [ALICE])
    with ExitStack() as held:
        await lease_peer(context, tmp_path, held)
        context.stop.set()
        await keep_lease(context, ALICE)
        assert await context.store.get(LEASE + ALICE) is None
        assert await lease_peer(context, tmp_path, held) is None
        assert await wishes(context.store) == {}


async def test_a_trainer_whose_peer_went_to_another_ends_with_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.peer.LEASE_TTL_S", 0.3)
    context = context_of("slow")
    await put_hosted_peers(context.store, [ALICE])
    with ExitStack() as held, pytest.raises(SwarmError, match="went to another trainer"):
        await lease_peer(context, tmp_path, held)
        await asyncio.sleep(0.4)
        assert await context.store.hold(LEASE + ALICE, "quick", ttl_s=30)
        await keep_lease(context, ALICE)


async def test_of_two_trainers_with_one_name_the_second_waits_and_is_told_why(tmp_path):
    store = MemoryStore()
    await put_hosted_peers(store, [ALICE])
    first = ExitStack()
    await lease_peer(context_of("same", store), tmp_path, first)
    context = context_of("same", store)
    with ExitStack() as second:
        waiting = asyncio.create_task(lease_peer(context, tmp_path, second))
        await asyncio.sleep(0.05)
        assert "INSTANCE" in context.health.state()["degraded"]["peer"]
        first.close()
        assert await asyncio.wait_for(waiting, 3) == ALICE


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


async def test_who_stays_waits_after_the_final_round_for_another_swarm_and_does_not_train_alone():
    context = context_of()
    await context.queue.publish(ROUNDS, opened(3, final=True))
    following = rounds(context, Progress(round=2), solo_after_s=0.05, stays=True)
    assert (await anext(following)).number == 3
    waiting = asyncio.ensure_future(anext(following))
    assert await asyncio.wait({waiting}, timeout=0.3) == (set(), {waiting})
    await context.queue.publish(ROUNDS, opened(0, swarm="new"))
    assert (await asyncio.wait_for(waiting, 3)).swarm == "new"


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
    trained, own, bobs = await all_of(context.queue, EVENTS)
    assert (rollouts.peer_id, rollouts.round, len(rollouts.groups)) == (ALICE, 4, trainer.settings.questions)
    assert reward.points == round(1000 * trained.mean_reward)
    assert set(vote.winners) <= {ALICE, BOB}
    assert (trained.external_groups, trained.seen_peers) == (1, 1)
    assert set(trained.seconds) == {"generate", "exchange", "update", "checkpoint"}
    assert (own.author, bobs.author) == (ALICE, BOB)
    assert own.question == rollouts.groups[0].question.text
    assert [attempt.text for attempt in own.attempts] == [one.text for one in rollouts.groups[0].completions[:4]]
    assert [attempt.reward for attempt in bobs.attempts] == [1.0, 0.0]
    assert trained.heard == {BOB: Heard(groups=1, informative=1, mean_reward=0.5)}
    assert trained.datasets == tuple(group.question.dataset for group in rollouts.groups)
    assert fmean(map(fmean, trained.rewards)) == pytest.approx(trained.mean_reward, abs=1e-4)
    told = context.health.facts
    assert (told["step"], told["round"], told["tokens_per_s"] > 0) == (1, 4, True)
    assert (trainer.progress.step, trainer.progress.round) == (1, 4)
    assert trainer.progress.unsent[:2] == (reward, vote)


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
    await trainer.play(opened(5))
    sent, trained = await all_of(context.queue, SUBMISSIONS), await trained_of(context.queue)
    context = context_of()
    again = trainer_of(context, tmp_path)
    await again.resend()
    assert await all_of(context.queue, SUBMISSIONS) == []  # nobody knows yet which swarm this is
    await context.queue.publish(ROUNDS, opened(5))
    await again.resend()
    await again.resend()
    assert await all_of(context.queue, SUBMISSIONS) == sent
    assert [(e.key, e.weights, e.parent) for e in await trained_of(context.queue)] == [
        (e.key, e.weights, e.parent) for e in trained
    ]
    assert again.progress.step == 2


async def test_what_a_restarted_queue_forgot_is_sent_again_once_even_in_the_middle_of_a_round(tmp_path, monkeypatch):
    monkeypatch.setattr("services.trainer.service.RESEND_S", 0.05)
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await context.queue.publish(ROUNDS, opened(4))
    await trainer.resend()
    await trainer._submit(REWARD)
    context.queue._logs.pop(SUBMISSIONS.name)  # its end is lost
    looking = asyncio.create_task(keep_sent(context, trainer))
    await asyncio.sleep(0.2)
    assert await all_of(context.queue, SUBMISSIONS) == []
    context.store.lives += 1
    await asyncio.sleep(0.3)
    assert await all_of(context.queue, SUBMISSIONS) == [REWARD]
    context.stop.set()
    await looking


async def test_what_was_meant_for_another_swarm_is_not_sent_to_this_one(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    await trainer.play(opened(4, swarm="old"))
    assert len(trainer.progress.unsent) == 3
    sent = await all_of(context.queue, SUBMISSIONS)
    await context.queue.publish(ROUNDS, opened(0, swarm="new"))
    await trainer.resend()
    assert await all_of(context.queue, SUBMISSIONS) == sent
    await trainer.play(opened(0, swarm="new"))
    assert {message.round for message in trainer.progress.unsent} == {0}


async def test_every_round_names_the_weights_it_was_made_from_and_those_it_made(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    for number in range(3):
        await trainer.play(opened(number))
    again = trainer_of(context, tmp_path)  # a new process
    await again.play(opened(3))
    events = await trained_of(context.queue)
    assert [event.parent for event in events] == ["", *(event.weights for event in events[:-1])]
    tensors = sorted(again.checkpoints.folder.glob("0*/tensors.safetensors"))[-1]
    assert hashlib.sha256(tensors.read_bytes()).hexdigest() == events[-1].weights == again.progress.sha256
    assert again.progress.parent == events[-2].weights


async def test_rounds_without_a_checkpoint_name_the_one_they_build_on(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path, "checkpoint_every=2")
    for number in range(5):
        await trainer.play(opened(number))
    first, second, third, fourth, fifth = await trained_of(context.queue)
    assert [bool(event.weights) for event in (first, second, third, fourth, fifth)] == [False, True, False, True, False]
    assert first.parent == second.parent == ""
    assert third.parent == fourth.parent == second.weights
    assert fifth.parent == fourth.weights


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
    assert feed.expected() == 1


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


async def test_of_stock_nodes_a_share_is_learnt_from_and_nothing_counts(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path, "learner.external_groups=4")
    right = BOBS.model_copy(update={"round": 1, "groups": BOBS.groups * 3, "signed": False})
    await context.queue.publish(ROLLOUTS_PEER, right)
    await context.queue.publish(ROUNDS, opened(1))
    await trainer.play(opened(1))
    (trained,) = await trained_of(context.queue)
    assert (trained.unsigned_groups, trained.seen_peers, trained.heard) == (1, 1, {})
    said = await all_of(context.queue, SUBMISSIONS)
    assert [one.winners for one in said if isinstance(one, Winners)] == [(ALICE,)]
    shown = {one.author: one.signed for one in await all_of(context.queue, EVENTS) if isinstance(one, Sampled)}
    assert shown == {ALICE: True, BOB: False}
    assert all(kept.group.signed for kept in trainer.progress.memory.kept)


async def test_a_repeated_step_takes_the_same_rollouts_signed_and_not(tmp_path):
    context = context_of()
    trainer = trainer_of(context, tmp_path)
    for signed in (False, True):
        await context.queue.publish(ROLLOUTS_PEER, BOBS.model_copy(update={"round": 4, "signed": signed}))
    want = Want(4, 8, 0.0, unsigned=1)
    first = await collect(context, trainer.feed, trainer.game, opened(4), want, trainer._random("x"))
    sources = list(dict.fromkeys(group.source for group in first))
    assert [group.signed for group in first] == [True, False]
    again = PeerFeed(context.queue, ALICE)
    assert await collect_again(context, again, trainer.game, opened(4), sources) == first
