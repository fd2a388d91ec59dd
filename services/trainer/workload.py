"""How much of a round this trainer takes on: as many questions as it has time for (`pacing.py`).

Decided once a round: a trainer that is killed in the middle finds in its journal what it decided (`journal.py`).
"""

from __future__ import annotations

import time

from services.trainer import metrics
from services.trainer.exchange import newest_of
from services.trainer.pacing import Lap
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Progress
from services.trainer.state.journal import Decided, Journal
from services.trainer.stopwatch import Stopwatch
from services.trainer.worker import work
from shared.messages import Round
from shared.runtime import Context


class Workload:
    """The work of one peer's rounds."""

    def __init__(self, settings: TrainerSettings, context: Context, journal: Journal) -> None:
        self._most, self._context, self._journal = settings.questions, context, journal
        self._lasted_s: float | None = None
        self._groups = settings.learner.local_groups + settings.learner.external_groups

    async def questions(self, progress: Progress, round_: Round) -> range:
        """Numbers of the questions to ask in this round; after a crash, of those that were asked."""
        decided = self._journal.decided(progress.step, round_)
        if decided is None:
            left_s = progress.pace.left_s(round_.opened_at, round_.deadline, time.time())
            count = progress.pace.questions(left_s, most=self._most, groups=self._groups)
            decided = Decided(questions=count)
            await work(self._journal.write, progress.step, round_, decided)
        metrics.QUESTIONS.set(decided.questions)
        return progress.next(decided.questions)

    def learning_s(self, progress: Progress) -> float:
        """Seconds that the end of a round will take, from the exchange to the checkpoint."""
        return progress.pace.learning_s(self._groups)

    async def note(self, round_: Round) -> None:
        """Whether the round is still open, before our own last word on it can end it."""
        self._lasted_s = lasted(round_, await newest_of(self._context, round_), time.time())
        if self._lasted_s is not None:
            metrics.LATE.inc()

    def measure(self, progress: Progress, round_: Round, questions: int, groups: int, watch: Stopwatch) -> Progress:
        """Learn from a round that is done, and from what `note` saw, what the next has time for."""
        seconds = watch.seconds
        lap = Lap(
            question_s=seconds["generate"] / questions,
            group_s=seconds["update"] / max(1, groups),
            save_s=seconds["checkpoint"],
        )
        limit_s = max(round_.deadline - round_.opened_at, 0.0)
        pace = progress.pace.after(lap, lasted_s=self._lasted_s, limit_s=limit_s)
        return progress.model_copy(update={"pace": pace})


def lasted(round_: Round, newest: Round, now: float) -> float | None:
    """Seconds for which a round was open, by the newest word on rounds at `now`; None: it is open still.

    Of several rounds that went by meanwhile, the mean.
    """
    if newest.swarm != round_.swarm or (newest.number, newest.stage) > (round_.number, round_.stage):
        return max(0.0, newest.opened_at - round_.opened_at) / max(1, newest.number - round_.number)
    return newest.deadline - newest.opened_at if now > newest.deadline else None
