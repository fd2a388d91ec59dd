"""Which tasks a swarm trains on, and which are kept for evaluation: the words trainer and judge share.

    mix, seed --> Deck --> training(n)    for the n-th question a peer learns from
                      \\--> held_out(n)    for the judge and `rlswarm eval`

The hash of its text decides on which side a question is. It holds whatever made the question, with which seed, and for
each of two generators that ask the same: no text is ever on both sides. What is drawn on the wrong side is skipped.
"""

from __future__ import annotations

import logging
import math
import sys
from ast import literal_eval
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Protocol

from pydantic import Field, model_validator

from shared.errors import SettingsError
from shared.settings import Settings

log = logging.getLogger(__name__)

ITEMS = 2**31  # of a deck, and of each generator that does not say otherwise
SHARE = 10  # one text in so many is held out
STRIDE = 1_327_217_885  # about ITEMS / golden ratio: skipped items of neighbours lead far apart
SCORED = 200  # characters of an answer, beside twice those of the right one, that a generator's scorer is given
TRIES = 2_000  # items looked at for one question

RUN = frozenset({"exec", "parse_expr", "sympify"})  # what a scorer may not call

Entry = dict[str, Any]
"""`question` and `answer` (text; the answer None where only the scorer knows), `metadata` (what the scorer needs)."""


class TaskSet(Settings):
    """One set of questions in a mix: a reasoning-gym generator, or a file."""

    name: str = Field(min_length=1, max_length=64)
    weight: float = Field(gt=0)
    config: dict[str, Any] = Field(default_factory=dict)  # the generator's own settings, its defaults where left out
    file: str | None = Field(default=None, min_length=1)  # path or URL; None: `name` is a generator of reasoning-gym
    scorer: str = Field(default="exact", min_length=1)  # of a file's answers, see shared/question_files.py


class Mix(Settings):
    """A weighted mix of sets (config group `data`)."""

    name: str
    datasets: tuple[TaskSet, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_distinct(self) -> Mix:
        if len({task.name for task in self.datasets}) < len(self.datasets):
            raise ValueError("two sets have the same name")
        return self


class Source(Protocol):
    """Questions and their scorer, as reasoning-gym's datasets are."""

    def __len__(self) -> int:
        """How many items there are."""

    def __getitem__(self, index: int) -> Entry:
        """Item `index`, always the same."""

    def score_answer(self, answer: str | None, entry: Entry) -> float:
        """What an answer is worth, 0 to 1. May raise anything on odd input."""


def seed_of(*words: str | int) -> int:
    """An even seed below 2^31 that follows from the words."""
    digest = sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 & ~1


DEBATE_SEED = seed_of("debate")
"""Of the questions that all peers of a debate are asked."""


def is_held_out(text: str) -> bool:
    """Whether a question is for evaluation and never for training; case and white space make no difference."""
    plain = " ".join(text.casefold().split())
    return int.from_bytes(sha256(plain.encode("utf-8", "surrogatepass")).digest()[:8], "big") % SHARE == 0


def is_scorable(answer: str, expected: str | None) -> bool:
    """Whether an answer is short enough for a generator's scorer: some take minutes for 20,000 brackets."""
    return len(answer) <= SCORED + 2 * len(expected or "")


def tamed(source: Source) -> Source:
    """A set whose scorer runs nothing that a stranger wrote. Raises ValueError if there is no way to keep it from that.

    Some of reasoning-gym's scorers call `eval` on the answer, to compare lists: here that reads literals, and nothing
    else. Those that hand the answer to sympy's parser, or an item's own text to `eval`, are refused.
    """
    kind = type(source)
    called = frozenset(kind.score_answer.__code__.co_names)
    if called & RUN or kind.__module__.endswith(".bitwise_arithmetic"):
        name = kind.__module__.rpartition(".")[2]
        raise ValueError(f"the scorer of {name} would run a stranger's answer as code; leave that set out")
    if "eval" in called:
        vars(sys.modules[kind.__module__])["eval"] = literal_eval
    return source


class Deck:
    """The questions of a mix for one seed."""

    def __init__(self, mix: Mix, seed: int, source_of: Callable[[TaskSet, int], Source]) -> None:
        """`source_of` opens a set with a seed; what it raises on a wrong name or setting becomes a SettingsError."""
        self.mix, self.seed = mix, seed
        self.sources: dict[str, Source] = {}
        try:
            for place, task in enumerate(mix.datasets, 1):
                self.sources[task.name] = tamed(source_of(task, seed + place))
        except (ValueError, TypeError, AssertionError) as error:
            raise SettingsError(
                f"the task mix {mix.name!r} is wrong: {error}", f"see config/data/{mix.name}.yaml"
            ) from error
        self._generators = {task.name for task in mix.datasets if task.file is None}
        self._names, self._weights = list(self.sources), [task.weight for task in mix.datasets]

    def training(self, number: int) -> Entry:
        """The `number`-th question to learn from."""
        return self._find(number, held_out=False)

    def held_out(self, number: int, name: str | None = None) -> Entry:
        """The `number`-th question for evaluation, of the set `name` or of all of them."""
        return self._find(number, held_out=True, name=name)

    def item(self, index: int, name: str | None = None) -> Entry:
        """Item `index`, for either side; its metadata name set, seed and index, so that anybody can make it again."""
        if name is None:
            name = Random(self.seed + index).choices(self._names, self._weights)[0]
        source = self.sources[name]
        entry = dict(source[index % len(source)])
        origin = {"source_dataset": name, "source_index": index, "source_seed": self.seed}
        entry["metadata"] = {**entry["metadata"], **origin}
        return entry

    def grade(self, answer: str, name: str, entry: Entry) -> float:
        """What an answer to an item of the set `name` is worth, 0 to 1.

        One that is far longer than any right one is worth nothing to a generator's scorer, unread. A scorer that chokes
        on the text gives 0 too; that is the text's fault.
        """
        if name in self._generators and not is_scorable(answer, entry["answer"]):
            return 0.0
        try:
            reward = float(self.sources[name].score_answer(answer, entry))
        except Exception as error:  # third-party scorers raise anything on malformed input
            log.debug("the scorer of %s failed: %s", name, error)
            return 0.0
        return min(1.0, max(0.0, reward)) if math.isfinite(reward) else 0.0

    def _find(self, number: int, *, held_out: bool, name: str | None = None) -> Entry:
        for skipped in range(TRIES):
            entry = self.item((number + skipped * STRIDE) % ITEMS, name)
            if is_held_out(entry["question"]) == held_out:
                return entry
        raise SettingsError(
            f"the task mix {self.mix.name!r} has no question for {'evaluation' if held_out else 'training'}",
            "give it more questions: about one in ten is held out",
        )


def cache_of(state_dir: Path) -> Path:
    """Where files of questions that were downloaded are kept."""
    return state_dir / "questions"
