"""One round, top to bottom: `Trainer.play`. Everything else is in the file that its name says."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from services.trainer import metrics, report
from services.trainer.activity import ALONE, Diary
from services.trainer.answers import Answers
from services.trainer.exchange import PeerFeed, Want, collect, collect_again, is_over
from services.trainer.games.game import Game
from services.trainer.games.loading import game_named
from services.trainer.games.tasks import Tasks
from services.trainer.learning.learner import Learner, Update
from services.trainer.learning.mixing import points, winners, within
from services.trainer.learning.picks import PICKS, Offer
from services.trainer.learning.rollout import Scored
from services.trainer.market.player import Player
from services.trainer.model import preflight
from services.trainer.model.policy import Policy
from services.trainer.outbox import Outbox
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Checkpoints, Progress
from services.trainer.state.journal import Journal
from services.trainer.state.origin import origin_of, write_origin
from services.trainer.stopwatch import Stopwatch
from services.trainer.tracking import numbers
from services.trainer.tracking.tracker import Point, Tracks
from services.trainer.tracking.trackers import trackers_of
from services.trainer.worker import work
from services.trainer.workload import Workload
from shared.messages import Reward, Rollouts, Round, Trained, Winners
from shared.runtime import Context
from shared.streams import EVENTS, ROLLOUTS_LOCAL
from shared.tasks import cache_of, seed_of

log = logging.getLogger(__name__)


class Trainer:
    """One peer's training: its model, its game, and where it stands."""

    def __init__(self, settings: TrainerSettings, context: Context, peer: str) -> None:
        self.policy = Policy(settings.policy)
        settings = preflight.fit(settings, self.policy, context)
        self.settings, self.context, self.peer = settings, context, peer
        self.learner = Learner(
            self.policy,
            settings.learner,
            temperature=settings.game.temperature,
            max_new_tokens=settings.game.max_new_tokens,
        )
        tasks = Tasks(
            settings.data,
            seed_of(settings.seed, peer),
            cache_of(settings.state_dir),
            strict=settings.strict_questions,
        )
        self.game: Game = game_named(settings.game.name)(
            self.policy, tasks, settings.game, peer=peer, seed=settings.seed
        )
        self.feed, self.outbox, self.diary = PeerFeed(context.queue, peer), Outbox(context), Diary(context, peer)
        self.answers = Answers(context, self.policy, settings.game, self.diary, peer)
        self.player = Player(settings.market, settings.judge_url, context, self.policy, peer)
        self.checkpoints = Checkpoints(settings.state_dir, peer, settings.policy.model)
        self.journal = Journal(self.checkpoints.folder)
        write_origin(self.checkpoints.folder, origin_of(settings, self.policy))
        self.workload = Workload(settings, context, self.journal)
        self.tracks = Tracks(trackers_of(settings, peer), context.health)
        self.progress = self._restore()
        self.answers.round = self.progress.round

    async def play(self, round_: Round) -> None:
        """Sample, share, learn from one's own and from others, save, vote."""
        queue, watch, number = self.context.queue, Stopwatch(), round_.number

        self._begin(round_)
        await self.diary("sampling", number)
        questions = await self.workload.questions(self.progress, round_)
        with watch("generate"):
            local = await work(self.game.sample, self.progress.step, questions, round_)
        await queue.publish(ROLLOUTS_LOCAL, self._rollouts(round_, local))
        reward = self._reward(round_, local)
        if round_.closes:
            await self._submit(reward)

        await self.diary("exchanging", number)
        with watch("exchange"):
            external = await self._collect(round_)
        vote = Winners(peer_id=self.peer, round=number, winners=winners([*local, *external]))
        last = vote if round_.closes else reward  # whoever has said this is ready for the next stage or round
        said = await self._say_early(round_, last)
        self.game.hear(round_, [*local, *(group for group in external if group.signed)])

        await self.diary("learning", number)
        with watch("update"):
            batch = self._mix(local, external)
            update = await work(self._learn, batch, [*local, *external])

        await self.diary("saving", number)
        parent, refused = self.progress.sha256, self.game.refused
        event = report.trained(self.peer, round_, local, external, batch, update, watch, parent, refused)
        shown = report.samples(self.peer, round_, local, external, self._random("shown"))
        self.progress = self.progress.with_sent(last).with_sent(event).after(questions, round_, self.game.state())
        with watch("checkpoint"):
            saved = await work(self._save, event.key)
        if not said:
            await self._say(round_, last)
        self.progress = self.workload.measure(self.progress, round_, len(questions), len(batch), watch)
        weights = self.progress.sha256 if saved else ""
        event = event.model_copy(update={"weights": weights, "seconds": watch.seconds})
        self._tell(event, numbers.point(event, local, update))
        await queue.publish(EVENTS, event)
        for sampled in shown:
            await queue.publish(EVENTS, sampled)
        await self.diary("waiting", number)

    async def play_alone(self) -> None:
        """No round is open anywhere: learn from one's own rollouts, and send nothing."""
        self.answers.begin_round()
        await self.diary("sampling", ALONE)
        questions = self.progress.next(self.settings.questions)
        local = await work(self.game.sample, self.progress.step, questions)
        await self.diary("learning", ALONE)
        await work(self._learn, self._mix(local, []), local)
        self.progress = self.progress.after(questions, None, self.game.state())
        self.context.health.facts["step"] = self.progress.step
        await self.diary("saving", ALONE)
        await work(self._save)
        log.info("alone: step %d, mean reward %.3f", self.progress.step, report.mean_reward(local))

    async def rest(self) -> None:
        """There is nothing to train on: say so, and answer whoever asks."""
        await self.diary("waiting", self.progress.round)
        await self.answers.one()
        await self.player.once()

    async def _meanwhile(self) -> None:
        """What may be done while peers are waited for."""
        await self.answers.once()
        await self.player.once(hurried=True)

    async def resend(self) -> None:
        """Queue (again) what a crash kept from the queue, or the queue forgot; see `Outbox.resend`."""
        await self.outbox.resend(self.progress.swarm, self.progress.unsent)

    def _restore(self) -> Progress:
        """Everything as the newest whole checkpoint has it."""
        progress = self.checkpoints.load(self.policy, self.learner)
        if self.checkpoints.damage:
            self.context.health.degrade("checkpoint", self.checkpoints.damage)  # until the next one is written
        self.game.restore(progress.game)
        self.learner.micro_completions = progress.micro_completions
        asked = progress.step * self.settings.questions if progress.asked is None else progress.asked
        pace = progress.pace if progress.pace.laps else preflight.first_pace(self.policy, self.settings)
        return progress.model_copy(update={"asked": asked, "pace": pace})

    def _begin(self, round_: Round) -> None:
        self.answers.begin_round()
        self.game.refused.clear()
        if round_.stages < self.game.stages:
            few = f"rounds have {round_.stages} of the game's {self.game.stages}: their founder sets ROUND_STAGES"
            self.context.health.degrade("stages", few)
        else:
            self.context.health.heal("stages")
        if round_.swarm != self.progress.swarm:
            self.progress = self.progress.model_copy(update={"swarm": round_.swarm, "unsent": ()})
            self.outbox.forget()

    def _tell(self, event: Trained, point: Point) -> None:
        report.tell(event, point)
        self.tracks.record(point)
        self.answers.round = event.round
        speed = round(event.completion_tokens / max(event.seconds["generate"], 1e-3), 1)
        self.context.health.facts.update(round=event.round, step=self.progress.step, tokens_per_s=speed)

    async def _submit(self, message: Reward | Winners) -> None:
        """Remembered first: a queue that dies right behind it may forget what it acknowledged."""
        self.progress = self.progress.with_sent(message)
        await self.outbox.send(message)

    async def _say_early(self, round_: Round, last: Reward | Winners) -> bool:
        """Say the stage's last word before the update, if the stage may be over when that is done; whether it was.

        Else after the checkpoint.
        """
        late = await is_over(self.context, round_, spare_s=self.workload.learning_s(self.progress))
        if late:
            await self._say(round_, last)
        return late

    async def _say(self, round_: Round, last: Reward | Winners) -> None:
        """The last word on a round, which may end it."""
        await self.workload.note(round_)
        await self._submit(last)

    async def _collect(self, round_: Round) -> list[Scored]:
        """Peers' groups; after a crash, those of the same peers again."""
        settings, step = self.settings, self.progress.step
        if (peers := self.journal.peers(step, round_)) is not None:
            external = await collect_again(self.context, self.feed, self.game, round_, peers)
        else:
            want = Want(
                groups=settings.learner.external_groups,
                peers=settings.max_external_peers,
                patience_s=settings.exchange_patience_s,
                unsigned=self._unsigned,
                spare_s=self.workload.learning_s(self.progress),
            )
            random, meanwhile = self._random("peers"), self._meanwhile
            external = await collect(self.context, self.feed, self.game, round_, want, random, meanwhile)
            sources = dict.fromkeys(group.source for group in external)
            await work(self.journal.write_peers, step, round_, tuple(sources))
        if external:
            self.context.health.heal("peers")
        else:
            self.context.health.degrade("peers", "no peer's rollouts came in the last round; learning from our own")
        return external

    @property
    def _unsigned(self) -> int:
        """Groups of a batch that nobody signed for, at most."""
        return int(self.settings.learner.external_groups * self.settings.unsigned_share)

    def _mix(self, local: Sequence[Scored], external: Sequence[Scored]) -> list[Scored]:
        learner = self.settings.learner
        usable = within(external, self._unsigned, self._random("unsigned"))
        offer = Offer(local, usable, learner.local_groups, learner.external_groups, self.progress.step)
        picked = PICKS[learner.pick](offer, self.progress.memory, self._random("mix"))
        self.progress = self.progress.model_copy(update={"memory": picked.memory})
        return picked.batch

    def _learn(self, batch: Sequence[Scored], seen: Sequence[Scored] = ()) -> Update:
        """One update; none when nobody's answers differ in reward. `seen`: what the batch was picked from."""
        update = self.learner.update(batch, self.progress.step)
        if update.noop == "empty" and seen:
            update = replace(update, noop="flat")
        micro, lineage = self.learner.micro_completions, self.progress.lineage
        if update.noop is None:
            lineage = lineage.after(*report.origins(self.peer, batch))
        self.progress = self.progress.model_copy(update={"micro_completions": micro, "lineage": lineage})
        report.learnt(update, micro)
        return update

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
        informative = sum(group.informative for group in local)
        return Rollouts(
            peer_id=self.peer, round=round_.number, stage=round_.stage, groups=groups, informative=informative
        )

    def _reward(self, round_: Round, local: Sequence[Scored]) -> Reward:
        return Reward(
            peer_id=self.peer, round=round_.number, stage=round_.stage, points=points(report.mean_reward(local))
        )

    def _random(self, purpose: str) -> Random:
        """Randomness that a repetition of this step after a crash draws again."""
        return Random(seed_of(self.settings.seed, self.peer, self.progress.step, purpose))
