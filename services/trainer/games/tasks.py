"""Questions of the swarm's mix, and what an answer to one is worth.

A peer's question is not believed: it names the set, the seed and the item it was made from, and is made again here. A
stranger can choose which of the swarm's questions he answers; neither what is right, nor which code scores his text.

A stock node names set and item only. All of them begin with the same seed and take the next after every 500 questions;
each set of their mix has one of its own, higher by its place. So there is a row of seeds to try, and a question that
comes out the same with one of them is as good as any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from shared.messages import Question
from shared.plotless import plotless
from shared.question_files import QuestionFile
from shared.tasks import ITEMS, Deck, Entry, Mix, Source, TaskSet, is_held_out

with plotless():
    import reasoning_gym
    from reasoning_gym.utils import extract_answer

SEEDS = 2**31
DECKS = 256  # of peers; one takes a fraction of a millisecond to make
# What a stock node's question may be made with: 42, up to 8 less where our mix has the set in a later place, and up to
# 63 more: 32,000 questions of one run.
STOCK_SEEDS = range(42 - 8, 42 + 64)


class Tasks:
    """The questions of one peer: question `n` is always the same, and no two peers have the same sequence."""

    def __init__(self, mix: Mix, seed: int, kept: Path = Path("questions"), *, strict: bool = True) -> None:
        """`kept`: the folder for downloads. `strict`: a peer's question that cannot be made again is left out.

        Raises SettingsError.
        """
        self._mix, self._kept, self._strict = mix, kept, strict
        self.names = frozenset(task.name for task in mix.datasets)
        self._deck_of = lru_cache(DECKS)(self._open)
        self._deck = self._deck_of(seed)
        self._stock_seed = STOCK_SEEDS.start  # the last that was right: they all go the same way

    def question(self, number: int, seed: int | None = None) -> Question:
        """The `number`-th training question, of this peer or of another seed."""
        return _question((self._deck if seed is None else self._deck_of(seed)).training(number))

    def held_out(self, number: int, name: str | None = None) -> Question:
        """The `number`-th question for evaluation, of the set `name` or of all: none that any training asks.

        Raises SettingsError if there is none.
        """
        return _question(self._deck.held_out(number, name))

    def knows(self, question: Question) -> bool:
        """This swarm's mix can score the question."""
        return question.dataset in self.names

    def verdict(self, question: Question) -> tuple[str, Question]:
        """A peer's question: a reason of REFUSED_GROUPS ("": none), and the question as it is made here."""
        if not self.knows(question):
            return "unknown_set", question
        if is_held_out(question.text):
            return "held_out", question
        origin = _origin(question.metadata)
        source = self._deck.sources[question.dataset]
        if isinstance(source, QuestionFile):
            own = source.find(question.text)
        elif origin is not None:
            own = self._deck_of(origin[0]).item(origin[1], question.dataset)
        elif (own := self._made_by_stock(question)) is None:
            # Its answer may count, if our operator says so. Its metadata reach no scorer: some would compute for hours.
            return ("unproven" if self._strict else ""), question.model_copy(update={"metadata": {}})
        made = _question({**own, "metadata": {**question.metadata, **own["metadata"]}}) if own else None
        if made is None or (made.text, made.answer) != (question.text, question.answer):
            return "altered", question
        return "", made.model_copy(update={"dataset": question.dataset})

    def score(self, question: Question, completion: str) -> float:
        """Reward of a completion, 0 to 1: what the scorer gives the text between the answer tags, 0 without any."""
        answer = extract_answer(completion, tag_name="answer")
        if answer is None or not self.knows(question):
            return 0.0
        entry: Entry = {"question": question.text, "answer": question.answer, "metadata": dict(question.metadata)}
        return self._deck.grade(answer, question.dataset, entry)

    def _made_by_stock(self, question: Question) -> Entry | None:
        """The same question as a stock node makes it; None if none does."""
        index = question.metadata.get("source_index")
        if type(index) is not int or not 0 <= index < ITEMS:
            return None
        for seed in (self._stock_seed, *STOCK_SEEDS):
            own = self._deck_of(seed).item(index, question.dataset)
            if (own["question"], own["answer"]) == (question.text, question.answer):
                self._stock_seed = seed
                return own
        return None

    def _open(self, seed: int) -> Deck:
        return Deck(self._mix, seed, self._source)

    def _source(self, task: TaskSet, seed: int) -> Source:
        if task.file is not None:
            return QuestionFile(task, seed, self._kept)
        config: dict[str, Any] = {"size": ITEMS, **task.config}
        return reasoning_gym.create_dataset(task.name, seed=seed, **config)  # type: ignore[no-any-return]


def _question(entry: Entry) -> Question:
    # Through JSON here already, so that this peer scores exactly what its peers will score.
    metadata = json.loads(json.dumps(entry["metadata"], default=str))
    dataset = metadata.get("source_dataset", "")
    return Question(text=entry["question"], answer=entry["answer"], dataset=dataset, metadata=metadata)


def _origin(metadata: Mapping[str, Any]) -> tuple[int, int] | None:
    """Seed and index that a question says it was made from; None: it does not say."""
    seed, index = metadata.get("source_seed"), metadata.get("source_index")
    if type(seed) is not int or type(index) is not int or not (0 <= seed < SEEDS and 0 <= index < ITEMS):
        return None
    return seed, index
