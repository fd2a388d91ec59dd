"""The game of one stage: everybody answers his own questions; an answer earns what its verifier says.

A game is whatever has these methods; the round (`loop.py`) knows nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from pydantic import JsonValue

from services.trainer.policy import Policy
from services.trainer.rollout import Scored
from services.trainer.sampling import sample_with_log_probs
from services.trainer.settings import GameSettings
from services.trainer.tasks import Tasks
from shared.messages import Question, Rollouts
from shared.tasks import seed_of


class Game(Protocol):
    """What is played in a round."""

    def sample(self, step: int, questions: range) -> list[Scored]:
        """This peer's rollouts of a step, with what they earned. `questions`: numbers in this peer's own sequence."""

    def state(self) -> dict[str, JsonValue]:
        """What is remembered between two stages of a round; part of the checkpoint."""

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """Go on where `state` was taken."""

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """A peer's rollouts with what they earn by our own verifier; groups that this swarm does not play left out."""


class AnswerGame:
    """Sample G answers to each of a step's questions."""

    def __init__(self, policy: Policy, tasks: Tasks, settings: GameSettings, *, peer: str, seed: int) -> None:
        self._policy, self._tasks, self._settings = policy, tasks, settings
        self._peer, self._seed = peer, seed

    def sample(self, step: int, questions: range) -> list[Scored]:
        """See `Game.sample`; with the same weights, the same answers too."""
        asked = [self._tasks.question(number) for number in questions]
        seed = seed_of(self._seed, self._peer, step, "sample")
        generator = torch.Generator(self._policy.device).manual_seed(seed)
        prompts = [self._policy.prompt(question.text) for question in asked]
        sampled = zip(*sample_with_log_probs(self._policy, prompts, self._settings, generator), strict=True)
        return [self._group(step, question, *rows) for question, rows in zip(asked, sampled, strict=True)]

    def state(self) -> dict[str, JsonValue]:
        """One stage: nothing."""
        return {}

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """One stage: nothing."""

    def _group(self, step: int, question: Question, rows: list[list[int]], log_probs: list[list[float]]) -> Scored:
        completions = tuple(self._policy.decode(row) for row in rows)
        rewards = tuple(self._tasks.score(question, completion.text) for completion in completions)
        tokens, likely = tuple(map(tuple, rows)), tuple(map(tuple, log_probs))
        return Scored(self._peer, question, completions, rewards, tokens, likely, step)

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
