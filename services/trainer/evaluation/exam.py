"""A model's answers to held-out questions, by the trainer's own sampling code.

pass@1    share of the questions whose one greedy answer is fully right
mean@k    mean reward of k answers sampled as in training, each question counted once
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

import torch

from services.trainer.forward.sampling import sample
from services.trainer.games.tasks import Tasks
from services.trainer.model.policy import Policy
from services.trainer.settings import GameSettings
from shared.errors import SettingsError
from shared.estimates import Estimate, difference, mean, rate
from shared.messages import Question
from shared.tasks import seed_of

BATCH = 8  # questions sampled at a time
LOOKED_AT = 6  # numbers looked at for each question wanted: small generators repeat themselves
FULL = 1 - 1e-9  # reward of a right answer

Papers = Mapping[str, Sequence[Question]]
"""Questions by set."""


@dataclass(frozen=True)
class Marks:
    """What one model got, question by question."""

    passed: tuple[bool, ...]  # its greedy answer was right
    rewards: tuple[float, ...]  # mean over its k sampled answers, 0 to 1


def papers(tasks: Tasks, count: int) -> dict[str, list[Question]]:
    """Up to `count` different held-out questions of each set, the same for the same seed; sets without any left out."""
    found: dict[str, list[Question]] = {}
    for name in sorted(tasks.names):
        distinct: dict[str, Question] = {}
        try:
            for number in range(LOOKED_AT * count):
                question = tasks.held_out(number, name)
                distinct.setdefault(question.text, question)
                if len(distinct) == count:
                    break
        except SettingsError:
            continue  # so few questions that none is held out
        found[name] = list(distinct.values())
    return found


def sit(
    policy: Policy, tasks: Tasks, questions: Papers, game: GameSettings, seed: int, advance: Callable[[int], object]
) -> dict[str, Marks]:
    """A model's marks by set; `advance` is told of each few questions that are done."""
    return {name: _sit(policy, tasks, name, list(asked), game, seed, advance) for name, asked in questions.items()}


def _sit(
    policy: Policy,
    tasks: Tasks,
    name: str,
    asked: list[Question],
    game: GameSettings,
    seed: int,
    advance: Callable[[int], object],
) -> Marks:
    passed, rewards = list[bool](), list[float]()
    for start in range(0, len(asked), BATCH):
        part = asked[start : start + BATCH]
        prompts = [policy.prompt(question.text) for question in part]
        generator = torch.Generator(policy.device).manual_seed(seed_of("exam", seed, name, start))
        for question, (greedy,), drawn in zip(
            part, sample(policy, prompts, game, None), sample(policy, prompts, game, generator), strict=True
        ):
            passed.append(_score(policy, tasks, question, greedy) >= FULL)
            rewards.append(fmean(_score(policy, tasks, question, row) for row in drawn))
        advance(len(part))
    return Marks(tuple(passed), tuple(rewards))


def _score(policy: Policy, tasks: Tasks, question: Question, row: list[int]) -> float:
    return tasks.score(question, policy.decode(row).text)


@dataclass(frozen=True)
class Line:
    """One set (or all of them) in a report."""

    questions: int
    pass_at_1: Estimate
    mean_at_k: Estimate


def report(marks: Mapping[str, Marks], seed: int) -> dict[str, Line]:
    """By set, and under `all` everything together."""
    lines = {**marks, "all": _together(marks)}
    return {
        name: Line(len(one.passed), rate(one.passed), mean(one.rewards, Random(seed_of("exam", seed, name))))
        for name, one in lines.items()
    }


def gain(before: Mapping[str, Marks], after: Mapping[str, Marks], seed: int) -> dict[str, Estimate]:
    """How much mean@k grew, by set and under `all`, on the same questions."""
    old, new = {**before, "all": _together(before)}, {**after, "all": _together(after)}
    return {name: difference(old[name].rewards, new[name].rewards, Random(seed_of("exam", seed, name))) for name in new}


def _together(marks: Mapping[str, Marks]) -> Marks:
    passed = tuple(one for mark in marks.values() for one in mark.passed)
    return Marks(passed, tuple(one for mark in marks.values() for one in mark.rewards))
