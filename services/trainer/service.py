"""The trainer's life: take a GPU and a peer, load its model where it left off, and play every round that opens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack

from services.trainer.judge import Examiner
from services.trainer.loop import Trainer
from services.trainer.model.choice import settle
from services.trainer.model.gpus import claim_device
from services.trainer.model.hardware import visible_gpus
from services.trainer.peer import keep_lease, lease_peer
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Progress
from services.trainer.worker import work
from shared.messages import Round
from shared.names import name_of
from shared.runtime import Context
from shared.streams import ROUNDS

log = logging.getLogger(__name__)

RESEND_S = 1.0  # between two looks whether the queue was restarted


async def run(settings: TrainerSettings, context: Context) -> None:
    """Train until the final round is done or the process is told to stop."""
    with ExitStack() as held:
        folder = settings.state_dir
        policy = await claim_device(settings.policy, folder / "gpus", context, visible_gpus(), held)
        peer = await lease_peer(context, folder / "trainers", held)
        if policy is None or peer is None:
            return
        settings = settings.model_copy(update={"policy": policy})
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_lease(context, peer))
            try:
                settings = await settle(settings, context, peer)
                trainer = await work(Trainer, settings, context, peer)
                group.create_task(keep_sent(context, trainer))
                group.create_task(trainer.player.watch())
                await _train(trainer.settings, context, trainer)
                await asyncio.to_thread(trainer.tracks.close)
            finally:
                context.stop.set()


async def _train(settings: TrainerSettings, context: Context, trainer: Trainer) -> None:
    examiner, name = Examiner(settings, context, trainer.peer, trainer.policy), name_of(trainer.peer)
    log.info("%s trains %s (%d parameters)", name, trainer.policy.name, trainer.policy.size)
    context.health.facts.update(peer=trainer.peer, name=name, model=trainer.policy.name, step=trainer.progress.step)
    context.health.facts.update(parameters=trainer.policy.size, device=trainer.policy.device_name)
    context.health.beat()
    await trainer.resend()
    following = rounds(context, trainer.progress, settings.solo_after_s, stays=settings.stays, idle=trainer.rest)
    async for round_ in following:
        context.health.beat()
        if round_ is None:
            await trainer.play_alone()
        else:
            await trainer.play(round_)
            await examiner.examine(round_)
        await trainer.answers.once()
    await examiner.close()


async def keep_sent(context: Context, trainer: Trainer) -> None:
    """Queue again what a queue that lost power forgot, also in the middle of a round: others may wait for it."""
    while await context.sleep(RESEND_S):
        await trainer.resend()


async def rounds(
    context: Context,
    done: Progress,
    solo_after_s: float,
    *,
    stays: bool = False,
    idle: Callable[[], Awaitable[None]] | None = None,
) -> AsyncIterator[Round | None]:
    """Each newest open round and stage later than the last one done, up to and with the final one; who stays waits on.

    A swarm whose chain was begun anew counts from 0 again: its rounds are later than all of the swarm before.
    None after `solo_after_s` seconds without a new round, again and again until one opens; not while the swarm is
    paused. `idle` is done while there is nothing to do, between two looks.
    """
    waiting_since, cursor = time.monotonic(), "0"
    while not context.stop.is_set():
        last = await context.queue.last(ROUNDS)
        through = last is not None and last.message.final
        if last is not None and last.message.paused and time.time() < last.message.deadline + solo_after_s:
            waiting_since = time.monotonic()  # somebody still says so: a paused round gets ever new deadlines
            context.health.heal("rounds")
        if last is not None and _is_new(last.message, done):
            context.health.heal("rounds")
            yield last.message
            done = Progress(round=last.message.number, stage=last.message.stage, swarm=last.message.swarm)
            waiting_since = time.monotonic()
        elif through and not stays:
            log.info("the final round is done")
            return
        elif not through and time.monotonic() - waiting_since > solo_after_s:
            context.health.degrade("rounds", "no round has opened for a while; training alone")
            yield None
        else:
            cursor = last.id if last else cursor
            await context.queue.read(ROUNDS, cursor, limit=1, wait_s=0.5)
            context.health.beat()
            if idle is not None:
                await idle()


def _is_new(round_: Round, done: Progress) -> bool:
    return round_.swarm != done.swarm or (round_.number, round_.stage) > (done.round, done.stage)
