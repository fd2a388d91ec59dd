"""The game of one stage: everybody answers his own questions; an answer earns what its verifier says.

A game is whatever has these two methods; the round (`loop.py`) knows nothing else of it.
"""

from __future__ import annotations

from typing import Protocol

import torch

from services.trainer.policy import Policy
from services.trainer.rollout import Scored
from services.trainer.sampling import sample_with_log_probs
from services.trainer.settings import GameSettings
from services.trainer.tasks import Tasks
from shared.messages import Question, Rollouts
from shared.tasks import seed_of


class Game(Protocol):
    """What is played in a round."""

    def sample(self, step: int) -> list[Scored]:
        """This peer's rollouts of a step, with what they earned. The same step gives the same questions."""

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """A peer's rollouts with what they earn by our own verifier; groups that this swarm does not play left out."""


class AnswerGame:
    """Sample G answers to each of a step's questions."""

    def __init__(
        self, policy: Policy, tasks: Tasks, settings: GameSettings, *, peer: str, questions: int, seed: int
    ) -> None:
        self._policy, self._tasks, self._settings = policy, tasks, settings
        self._peer, self._questions, self._seed = peer, questions, seed

    def sample(self, step: int) -> list[Scored]:
        """See `Game.sample`; with the same weights, the same answers too."""
        questions = [self._tasks.question(step * self._questions + k) for k in range(self._questions)]
        seed = seed_of(self._seed, self._peer, step, "sample")
        generator = torch.Generator(self._policy.device).manual_seed(seed)
        prompts = [self._policy.prompt(question.text) for question in questions]
        sampled = zip(*sample_with_log_probs(self._policy, prompts, self._settings, generator), strict=True)
        return [self._group(question, *rows) for question, rows in zip(questions, sampled, strict=True)]

    def _group(self, question: Question, rows: list[list[int]], log_probs: list[list[float]]) -> Scored:
        completions = tuple(self._policy.decode(row) for row in rows)
        rewards = tuple(self._tasks.score(question, completion.text) for completion in completions)
        tokens, likely = tuple(map(tuple, rows)), tuple(map(tuple, log_probs))
        return Scored(self._peer, question, completions, rewards, tokens, likely, self._policy.version)

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """See `Game.score`."""
        return [
            Scored(
                author=rollouts.peer_id,
                question=group.question,
                completions=group.completions,
                rewards=tuple(self._tasks.score(group.question, completion.text) for completion in group.completions),
            )
            for group in rollouts.groups
            if self._tasks.knows(group.question)
        ]
