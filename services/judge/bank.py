"""The question bank: which question belongs to a round, and what an answer to it is worth."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import Any

import reasoning_gym
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.utils import extract_answer

from shared.errors import SettingsError
from shared.tasks import Mix, judging_item, seed_of

log = logging.getLogger(__name__)

SEED = seed_of("judge")  # fixed: the judges of all households ask the same question in the same round
SIZE = 2**31  # items of the composite; the odd half of them is for judging
RECENT = 64  # rounds whose question is kept: making one may take milliseconds


def item_of(round_number: int) -> int:
    """The bank's item for a round; after 2^30 rounds the questions come again."""
    return judging_item(round_number % (SIZE // 2))


class Bank:
    """One question a round, the same for everybody who asks."""

    def __init__(self, mix: Mix) -> None:
        self.name = mix.name
        specs = [DatasetSpec(name=task.name, weight=task.weight, config=dict(task.config)) for task in mix.datasets]
        try:
            self._composite = reasoning_gym.create_dataset("composite", seed=SEED, size=SIZE, datasets=specs)
        except (ValueError, TypeError, AssertionError) as error:
            raise SettingsError(
                f"the task mix {mix.name!r} is wrong: {error}", f"see config/data/{mix.name}.yaml"
            ) from error
        self._entry = lru_cache(RECENT)(self._make)

    def _make(self, item: int) -> dict[str, Any]:
        return dict(self._composite[item])

    def question(self, round_number: int) -> str:
        """What is asked in this round."""
        return str(self._entry(item_of(round_number))["question"])

    def score(self, round_number: int, user_answer: str) -> float:
        """What an answer to the round's question is worth, 0 to 1.

        The text between the last answer tags counts, or all of it where there are none: a stock peer sends a bare
        answer. A scorer that chokes on the text gives 0; that is the text's fault.
        """
        tagged = extract_answer(user_answer, tag_name="answer")
        answer = user_answer.strip() if tagged is None else tagged
        try:
            score = float(self._composite.score_answer(answer, self._entry(item_of(round_number))))
        except Exception as error:  # third-party scorers raise anything on malformed input
            log.debug("a scorer failed on an answer of round %d: %s", round_number, error)
            return 0.0
        return min(1.0, max(0.0, score)) if math.isfinite(score) else 0.0
