"""This product: its game, its mix, its learner, with the settings it has by itself."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

from benchmarks.trainer_peers.task import Line, Stopwatch, Task, scorer
from services.trainer.games.game import AnswerGame
from services.trainer.games.tasks import Tasks
from services.trainer.learning.learner import Learner
from services.trainer.learning.mixing import mix
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.messages import Question
from shared.settings import load


class Listed(Tasks):
    """The questions of a file."""

    def __init__(self, task: Task) -> None:
        self._rounds, self._score = task.questions(), scorer(task)
        self.names = frozenset(question["dataset"] for asked in self._rounds for question in asked)

    def question(self, number: int, seed: int | None = None) -> Question:
        """See `Tasks.question`."""
        asked = self._rounds[number // len(self._rounds[0])]
        return Question(**asked[number % len(asked)])

    def score(self, question: Question, completion: str) -> float:
        """See `Tasks.score`."""
        asked: dict[str, Any] = {"answer": question.answer, "dataset": question.dataset, "metadata": question.metadata}
        return self._score(asked, completion)


def main() -> None:
    """Answer the line."""
    line, watch, task = Line(), Stopwatch(), Task.read(sys.argv[1])
    settings = load("trainer", TrainerSettings, task.settings)
    policy, tasks = Policy(settings.policy), Listed(task)
    count = len(task.questions()[0])
    game = AnswerGame(policy, tasks, settings.game, peer="peer", seed=settings.seed)
    learner = Learner(
        policy,
        settings.learner,
        temperature=settings.game.temperature,
        max_new_tokens=settings.game.max_new_tokens,
    )
    for number in line.asked():
        with watch.round():
            with watch("generation_s"):
                groups = game.sample(number, range(number * count, (number + 1) * count))
            batch = mix(groups, [], count, 0, Random(number))
            with watch("update_s"):
                if batch:
                    learner.update(batch)
        tokens = sum(len(row) for group in groups for row in group.tokens or ())
        line.tell(**watch.seconds, tokens=tokens)


if __name__ == "__main__":
    main()
