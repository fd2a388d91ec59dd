"""Questions from reasoning-gym, and its own scorers for the answers.

A peer's answer is scored by the generator its question names, and only generators of this swarm's mix are asked: a
stranger cannot choose which code runs on his text.
"""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import reasoning_gym
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.utils import extract_answer

from shared.errors import SettingsError
from shared.messages import Question
from shared.tasks import Mix, judging_item, training_item

log = logging.getLogger(__name__)


class Tasks:
    """The questions of one peer: item `n` is always the same, and no two peers have the same sequence."""

    def __init__(self, mix: Mix, seed: int) -> None:
        specs = [DatasetSpec(name=task.name, weight=task.weight, config=dict(task.config)) for task in mix.datasets]
        try:
            self._composite = reasoning_gym.create_dataset("composite", seed=seed, size=2**31, datasets=specs)
        except (ValueError, TypeError, AssertionError) as error:
            raise SettingsError(
                f"the task mix {mix.name!r} is wrong: {error}", f"see config/data/{mix.name}.yaml"
            ) from error
        self.names = frozenset(task.name for task in mix.datasets)

    def question(self, number: int) -> Question:
        """The `number`-th training question."""
        return self._item(training_item(number))

    def held_out(self, number: int) -> Question:
        """The `number`-th of the questions that no training asks, whatever its seed."""
        return self._item(judging_item(number))

    def _item(self, index: int) -> Question:
        entry = self._composite[index]
        # Through JSON here already, so that this peer scores exactly what its peers will score.
        metadata = json.loads(json.dumps(entry["metadata"], default=str))
        dataset = entry["metadata"]["source_dataset"]
        return Question(text=entry["question"], answer=entry["answer"], dataset=dataset, metadata=metadata)

    def knows(self, question: Question) -> bool:
        """This swarm's mix can score the question."""
        return question.dataset in self.names

    def score(self, question: Question, completion: str) -> float:
        """Reward of a completion, 0 to 1: what the scorer gives the text between the answer tags, 0 without any.

        A scorer that chokes on hostile text or metadata gives 0 too; that is the completion's fault, not ours.
        """
        answer = extract_answer(completion, tag_name="answer")
        if answer is None or not self.knows(question):
            return 0.0
        entry: dict[str, Any] = {
            "question": question.text,
            "answer": question.answer,
            "metadata": dict(question.metadata),
        }
        try:
            reward = float(self._composite.datasets[question.dataset].score_answer(answer, entry))
        except Exception as error:  # third-party scorers raise anything on malformed input
            log.debug("the scorer of %s failed: %s", question.dataset, error)
            return 0.0
        return min(1.0, max(0.0, reward)) if math.isfinite(reward) else 0.0
