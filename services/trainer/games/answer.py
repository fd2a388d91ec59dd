"""The game of one stage: everybody answers his own questions; an answer earns what its verifier says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import JsonValue

from services.trainer.games.game import Table
from services.trainer.rollout import Scored
from services.trainer.sampling import sample
from shared.messages import Question, Rollouts, Round
from shared.tasks import seed_of


class AnswerGame:
    """Sample G answers to each of a step's questions."""

    stages = 1

    def __init__(self, table: Table) -> None:
        self.table = table

    def sample(self, step: int, round_: Round | None = None) -> list[Scored]:
        """See `Game.sample`."""
        first = step * self.table.questions
        return self.answer([self.table.tasks.question(first + k) for k in range(self.table.questions)], step)

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """See `Game.score`."""
        return [
            Scored(
                author=rollouts.peer_id,
                question=group.question,
                completions=group.completions,
                rewards=tuple(self.reward(group.question, completion.text) for completion in group.completions),
            )
            for group in rollouts.groups
            if self.table.tasks.knows(group.question)
        ]

    def hear(self, round_: Round, groups: Sequence[Scored]) -> None:
        """Nothing follows."""

    def state(self) -> JsonValue:
        """Nothing is remembered."""
        return None

    def restore(self, state: JsonValue) -> None:
        """Nothing was."""

    def reward(self, question: Question, text: str) -> float:
        """What a completion earns, 0 to 1."""
        return self.table.tasks.score(question, text)

    def answer(self, questions: Sequence[Question], step: int) -> list[Scored]:
        """G completions of each question, as this step draws them, with what they earn."""
        policy, settings = self.table.policy, self.table.settings
        seed = seed_of(self.table.seed, self.table.peer, step, "sample")
        generator = torch.Generator(policy.device).manual_seed(seed)
        sampled = sample(policy, [policy.prompt(question.text) for question in questions], settings, generator)
        return [self._group(question, rows) for question, rows in zip(questions, sampled, strict=True)]

    def _group(self, question: Question, rows: list[list[int]]) -> Scored:
        completions = tuple(self.table.policy.decode(row) for row in rows)
        rewards = tuple(self.reward(question, completion.text) for completion in completions)
        return Scored(self.table.peer, question, completions, rewards, tuple(map(tuple, rows)))
