"""The question bank: which question belongs to a round, and what an answer to it is worth."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import reasoning_gym
from reasoning_gym.utils import extract_answer

from shared.question_files import QuestionFile
from shared.tasks import ITEMS, Deck, Entry, Mix, Source, TaskSet, seed_of

SEED = seed_of("judge")  # fixed: the judges of all households ask the same question in the same round
RECENT = 64  # rounds whose question is kept: making one may take milliseconds


class Bank:
    """One question a round, the same for everybody who asks."""

    def __init__(self, mix: Mix, kept: Path = Path("questions")) -> None:
        """`kept`: the folder for downloads. Raises SettingsError, also if the mix holds nothing out."""
        self.name, self._kept = mix.name, kept
        self._deck = Deck(mix, SEED, self._source)
        self._entry = lru_cache(RECENT)(self._make)
        self._entry(0)

    def _source(self, task: TaskSet, seed: int) -> Source:
        if task.file is not None:
            return QuestionFile(task, seed, self._kept)
        config: dict[str, Any] = {"size": ITEMS, **task.config}
        return reasoning_gym.create_dataset(task.name, seed=seed, **config)  # type: ignore[no-any-return]

    def _make(self, round_number: int) -> Entry:
        return self._deck.held_out(round_number % ITEMS)  # after 2^31 rounds the questions come again

    def question(self, round_number: int) -> str:
        """What is asked in this round."""
        return str(self._entry(round_number)["question"])

    def score(self, round_number: int, user_answer: str) -> float:
        """What an answer to the round's question is worth, 0 to 1.

        The text between the last answer tags counts, or all of it where there are none: a stock peer sends a bare
        answer.
        """
        tagged = extract_answer(user_answer, tag_name="answer")
        answer = user_answer.strip() if tagged is None else tagged
        entry = self._entry(round_number)
        return self._deck.grade(answer, entry["metadata"]["source_dataset"], entry)
