"""One round, top to bottom: `Trainer.play`. Everything else is in the file that its name says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import Random
from statistics import fmean

from services.trainer import metrics, report
from services.trainer.activity import ALONE, Diary
from services.trainer.answers import Answers
from services.trainer.checkpoint import Checkpoints
from services.trainer.exchange import PeerFeed, Want, collect
from services.trainer.games.answer import AnswerGame
from services.trainer.games.game import Game, Table
from services.trainer.learner import Learner, Update
from services.trainer.mixing import mix, points, winners
from services.trainer.outbox import Outbox
from services.trainer.policy import Policy
from services.trainer.rollout import Scored
from services.trainer.settings import TrainerSettings
from services.trainer.stopwatch import Stopwatch
from services.trainer.tasks import Tasks
from shared.messages import Reward, Rollouts, Round, Trained, Winners
from shared.runtime import Context
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROUNDS
from shared.tasks import seed_of

log = logging.getLogger(__name__)


class Trainer:
    """One peer's training: its model, its game, and where it stands."""

    def __init__(self, settings: TrainerSettings, context: Context, peer: str) -> None:
        self.settings, self.context, self.peer = settings, context, peer
        self.policy = Policy(settings.policy)
        self.learner = Learner(
            self.policy,
            settings.learner,
            temperature=settings.game.temperature,
            max_new_tokens=settings.game.max_new_tokens,
        )
        tasks = Tasks(settings.data, seed_of(settings.seed, peer))
        table = Table(self.policy, tasks, settings.game, peer, settings.questions, settings.seed)
        self.game: Game = AnswerGame(table)
        self.feed, self.outbox, self.diary = PeerFeed(context.queue, peer), Outbox(context), Diary(context, peer)
        self.answers = Answers(context, self.policy, settings.game, self.diary, peer)
        self.checkpoints = Checkpoints(settings.state_dir, peer, settings.policy.model)
        self.progress = self.checkpoints.load(self.policy, self.learner)
        self.game.restore(self.progress.game)
        self.answers.round = self.progress.round
        self._life = ""  # of the queue, when `unsent` was last queued again

    async def play(self, round_: Round) -> None:
        """Sample, share, learn from one's own and from others, save, vote."""
        queue, watch, step, number = self.context.queue, Stopwatch(), self.progress.step, round_.number

        self._begin(round_)
        await self.diary("sampling", number)
        with watch("generate"):
            local = await asyncio.to_thread(self.game.sample, step, round_)
        await queue.publish(ROLLOUTS_LOCAL, self._rollouts(round_, local))
        await self._submit(self._reward(round_, local))

        await self.diary("exchanging", number)
        with watch("exchange"):
            external = await self._collect(round_)
        await self.diary("learning", number)
        with watch("update"):
            batch = self._mix(local, external)
            update = await asyncio.to_thread(self._learn, batch)

        await self.diary("saving", number)
        self.game.hear(round_, [*local, *external])
        votes = self._votes(round_, [*local, *external])
        event = report.trained(self.peer, round_, local, external, batch, update, watch, self.progress.sha256)
        shown = report.samples(self.peer, round_, local, external, self._random("shown"))
        here = {"step": step + 1, "round": number, "stage": round_.stage, "game": self.game.state()}
        self.progress = self.progress.with_sent(*votes, event).model_copy(update=here)
        with watch("checkpoint"):
            saved = await asyncio.to_thread(self._save, event.key)
        for vote in votes:
            await self.outbox.send(vote)
        weights = self.progress.sha256 if saved else ""
        event = event.model_copy(update={"weights": weights, "seconds": watch.seconds})
        self._tell(event)
        await queue.publish(EVENTS, event)
        for sampled in shown:
            await queue.publish(EVENTS, sampled)
        await self.diary("waiting", number)

    async def play_alone(self) -> None:
        """No round is open anywhere: learn from one's own rollouts, and send nothing."""
        self.answers.begin_round()
        await self.diary("sampling", ALONE)
        local = await asyncio.to_thread(self.game.sample, self.progress.step)
        await self.diary("learning", ALONE)
        await asyncio.to_thread(self._learn, self._mix(local, []))
        self.progress = self.progress.model_copy(update={"step": self.progress.step + 1})
        self.context.health.facts["step"] = self.progress.step
        await self.diary("saving", ALONE)
        await asyncio.to_thread(self._save)
        log.info("alone: step %d, mean reward %.3f", self.progress.step, _mean(local))

    async def rest(self) -> None:
        """There is nothing to train on: say so, and answer whoever asks."""
        await self.diary("waiting", self.progress.round)
        await self.answers.one()

    async def resend(self) -> None:
        """Queue (again) what a crash kept from the queue, or the queue forgot, once in each of the queue's lives.

        Only where the open round tells that this is still the swarm it was meant for.
        """
        await self.outbox.flush()
        life, last = await self.context.store.life(), await self.context.queue.last(ROUNDS)
        if life == self._life or last is None:
            return
        self._life = life
        for message in self.progress.unsent if last.message.swarm == self.progress.swarm else ():
            if isinstance(message, Trained):
                await self.context.queue.publish(EVENTS, message)
            else:
                await self.outbox.send(message)

    def _begin(self, round_: Round) -> None:
        self.answers.begin_round()
        if round_.swarm != self.progress.swarm:
            self.progress = self.progress.model_copy(update={"swarm": round_.swarm, "unsent": ()})
            self.outbox.forget()

    def _tell(self, event: Trained) -> None:
        report.tell(event)
        self.answers.round = event.round
        speed = round(event.completion_tokens / max(event.seconds["generate"], 1e-3), 1)
        self.context.health.facts.update(round=event.round, step=self.progress.step, tokens_per_s=speed)

    async def _submit(self, reward: Reward) -> None:
        """Remembered first: a queue that dies right behind it may forget what it acknowledged."""
        self.progress = self.progress.with_sent(reward)
        await self.outbox.send(reward)

    async def _collect(self, round_: Round) -> list[Scored]:
        settings, random = self.settings, self._random("peers")
        want = Want(settings.learner.external_groups, settings.max_external_peers, settings.exchange_patience_s)
        external = await collect(self.context, self.feed, self.game, round_, want, random, self.answers.once)
        if external:
            self.context.health.heal("peers")
        else:
            self.context.health.degrade("peers", "no peer's rollouts came in the last round; learning from our own")
        return external

    def _mix(self, local: Sequence[Scored], external: Sequence[Scored]) -> list[Scored]:
        learner = self.settings.learner
        return mix(local, external, learner.local_groups, learner.external_groups, self._random("mix"))

    def _learn(self, batch: Sequence[Scored]) -> Update:
        """One update; none when nobody's answers differ in reward."""
        return self.learner.update(batch) if batch else Update(loss=0.0, gradient_norm=0.0)

    def _save(self, told: str = "") -> bool:
        """A checkpoint, if one is due, named by the event of key `told`; True if there is one now.

        A full disk costs the checkpoint, not the run.
        """
        if self.progress.step % self.settings.checkpoint_every:
            return False
        try:
            self.progress = self.checkpoints.save(self.policy, self.learner, self.progress, told)
        except OSError as error:
            metrics.CHECKPOINT_FAILURES.inc()
            reason = f"not written ({error}); the one before is kept; free space in {self.settings.state_dir}"
            self.context.health.degrade("checkpoint", reason)
            return False
        self.context.health.heal("checkpoint")
        return True

    def _rollouts(self, round_: Round, local: Sequence[Scored]) -> Rollouts:
        groups = tuple(group.as_group() for group in local)
        return Rollouts(peer_id=self.peer, round=round_.number, stage=round_.stage, groups=groups)

    def _reward(self, round_: Round, local: Sequence[Scored]) -> Reward:
        return Reward(peer_id=self.peer, round=round_.number, stage=round_.stage, points=points(_mean(local)))

    def _votes(self, round_: Round, groups: Sequence[Scored]) -> list[Winners]:
        """One a round, in its last stage, by what was sampled and heard in that."""
        return [Winners(peer_id=self.peer, round=round_.number, winners=winners(groups))] if round_.closes else []

    def _random(self, purpose: str) -> Random:
        """Randomness that a repetition of this step after a crash draws again."""
        return Random(seed_of(self.settings.seed, self.peer, self.progress.step, purpose))


def _mean(groups: Sequence[Scored]) -> float:
    return fmean(group.mean_reward for group in groups)
