"""The game of one stage: everybody answers his own questions; an answer earns what its verifier says.

A game is whatever has these methods; the round (`loop.py`) knows nothing else of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

import torch
from pydantic import JsonValue

from services.trainer.forward.sampling import sample_with_log_probs
from services.trainer.games.tasks import Tasks
from services.trainer.learning.rollout import Scored
from services.trainer.metrics import REFUSED_GROUPS
from services.trainer.model.policy import Policy
from services.trainer.settings import GameSettings
from shared.messages import Group, Question, Rollouts, Round
from shared.tasks import seed_of

SCORING_S = 5.0  # for one peer's rollouts, of this thread's processor time: what is honest takes a hundredth of it


class Game(Protocol):
    """What is played in a round."""

    refused: dict[str, Counter[str]]  # what `score` left out in this round: author -> reason -> groups

    @property
    def stages(self) -> int:
        """Of a round; where rounds have fewer, the later ones are never played."""

    def sample(self, step: int, questions: range, round_: Round | None = None) -> list[Scored]:
        """This peer's rollouts of a step, at least one group, with what they earned.

        `questions`: numbers in this peer's own sequence. `round_`: the open round and its stage; None: there is none.
        """

    def hear(self, round_: Round, groups: Sequence[Scored]) -> None:
        """A stage is over: what was said in it, here and by peers. For the later stages of the round."""

    def state(self) -> dict[str, JsonValue]:
        """What is remembered between two stages of a round; part of the checkpoint."""

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """Go on where `state` was taken."""

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """A peer's rollouts with what they earn by our own verifier; groups that this swarm does not play left out."""


def in_time(
    groups: Sequence[Group], refuse: Callable[[str], None], spent_s: Callable[[], float] = time.thread_time
) -> Iterator[Group]:
    """A peer's groups for as long as scoring them takes no more than `SCORING_S`; the rest is refused as `slow`.

    There are answers that a scorer reads for a second: a stranger may send thousands of them.
    """
    until = spent_s() + SCORING_S
    for done, group in enumerate(groups):
        if spent_s() > until:
            for _ in groups[done:]:
                refuse("slow")
            return
        yield group


class AnswerGame:
    """Sample G answers to each of a step's questions."""

    stages = 1

    def __init__(self, policy: Policy, tasks: Tasks, settings: GameSettings, *, peer: str, seed: int) -> None:
        self.policy, self.tasks, self.settings = policy, tasks, settings
        self.peer, self.seed = peer, seed
        self.refused: dict[str, Counter[str]] = {}

    def sample(self, step: int, questions: range, round_: Round | None = None) -> list[Scored]:
        """See `Game.sample`; with the same weights, the same answers too."""
        return self.complete(step, [self.tasks.question(number) for number in questions])

    def complete(self, step: int, asked: Sequence[Question]) -> list[Scored]:
        """G completions of each question, as this step draws them, with what they earned."""
        seed = seed_of(self.seed, self.peer, step, "sample")
        generator = torch.Generator(self.policy.device).manual_seed(seed)
        prompts = [self.policy.prompt(question.text) for question in asked]
        sampled = zip(*sample_with_log_probs(self.policy, prompts, self.settings, generator), strict=True)
        return [self._group(step, question, *rows) for question, rows in zip(asked, sampled, strict=True)]

    def hear(self, round_: Round, groups: Sequence[Scored]) -> None:
        """One stage: nothing follows."""

    def state(self) -> dict[str, JsonValue]:
        """One stage: nothing."""
        return {}

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """One stage: nothing."""

    def _group(self, step: int, question: Question, rows: list[list[int]], log_probs: list[list[float]]) -> Scored:
        completions = tuple(self.policy.decode(row) for row in rows)
        rewards = tuple(self.reward(question, completion.text) for completion in completions)
        tokens, likely = tuple(map(tuple, rows)), tuple(map(tuple, log_probs))
        return Scored(self.peer, question, completions, rewards, tokens, likely, step)

    def reward(self, question: Question, text: str) -> float:
        """What a completion earns, 0 to 1."""
        return self.tasks.score(question, text)

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """See `Game.score`."""
        found = []
        for group in in_time(rollouts.groups, partial(self.refuse, rollouts)):
            reason, question = self.tasks.verdict(group.question)
            if reason:
                self.refuse(rollouts, reason)
            else:
                rewards = tuple(self.reward(question, completion.text) for completion in group.completions)
                found.append(Scored(rollouts.peer_id, question, group.completions, rewards))
        return found

    def refuse(self, rollouts: Rollouts, reason: str) -> None:
        """Count a group that is left out; a reason of REFUSED_GROUPS."""
        REFUSED_GROUPS.labels(reason).inc()
        if rollouts.signed:  # or anybody could speak ill of the peer that is named
            self.refused.setdefault(rollouts.peer_id, Counter())[reason] += 1
