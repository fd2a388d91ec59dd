"""The question bank: which question belongs to a round, and what an answer to it is worth.

    round --> fixed set   FIXED questions that stay the same for ever; about every second round asks one of them
          --> fresh       every other question of the mix that no training asks

Who has answered a fixed question gets the round's fresh one in its place.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from shared.plotless import plotless
from shared.question_files import QuestionFile
from shared.tasks import ITEMS, Deck, Entry, Mix, Source, TaskSet, seed_of

with plotless():
    import reasoning_gym
    from reasoning_gym.utils import extract_answer

SEED = seed_of("judge")  # fixed: the judges of all households ask the same question in the same round
RECENT = 1_024  # questions kept: making one may take milliseconds
FIXED = 100
FIRST_FIXED = ITEMS // 2  # their numbers in the deck; 2^30 rounds come before
TRIES = 16  # fresh questions looked at for one that the peer has not answered
STEP = 1_000_003  # between their numbers: not the deck's own, which would lead to the same question again


class Bank:
    """Numbered questions; a round has the same for everybody who has not answered it before."""

    def __init__(self, mix: Mix, kept: Path = Path("questions")) -> None:
        """`kept`: the folder for downloads. Raises SettingsError, also if the mix holds nothing out."""
        self.name, self._mix, self._kept = mix.name, mix, kept
        self._deck = Deck(mix, SEED, self._source)
        self._entry = lru_cache(RECENT)(self._deck.held_out)
        self._entry(0)

    def deck(self, seed: int) -> Deck:
        """Other questions of the same mix."""
        return Deck(self._mix, seed, self._source)

    def _source(self, task: TaskSet, seed: int) -> Source:
        if task.file is not None:
            return QuestionFile(task, seed, self._kept)
        config: dict[str, Any] = {"size": ITEMS, **task.config}
        return reasoning_gym.create_dataset(task.name, seed=seed, **config)  # type: ignore[no-any-return]

    def pick(self, round_number: int, answered: Container[str] = ()) -> int:
        """The number of the question that is asked in a round of somebody who has answered these (see `id_of`).

        Where a small bank has nothing new, an old question comes again.
        """
        fresh = [(round_number + tried * STEP) % ITEMS for tried in range(TRIES)]
        fixed = [FIRST_FIXED + seed_of("judge", "fixed", round_number) % FIXED] if _is_fixed_round(round_number) else []
        candidates = fixed + fresh
        return next((number for number in candidates if self.id_of(number) not in answered), candidates[0])

    def id_of(self, number: int) -> str:
        """Names a question by its text: small generators ask the same under many numbers."""
        return name_of_text(self.question(number))

    def question(self, number: int) -> str:
        """What is asked."""
        return str(self._entry(number)["question"])

    def score(self, number: int, user_answer: str) -> float:
        """What an answer is worth, 0 to 1.

        The text between the last answer tags counts, or all of it where there are none: a stock peer sends a bare
        answer.
        """
        tagged = extract_answer(user_answer, tag_name="answer")
        answer = user_answer.strip() if tagged is None else tagged
        entry: Entry = self._entry(number)
        return self._deck.grade(answer, entry["metadata"]["source_dataset"], entry)


def is_fixed(number: int) -> bool:
    """Whether a question belongs to the fixed set."""
    return FIRST_FIXED <= number < FIRST_FIXED + FIXED


def name_of_text(text: str) -> str:
    """A short name of a question; case and white space make no difference."""
    return sha256(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _is_fixed_round(round_number: int) -> bool:
    """By a hash: whoever sits an exam every tenth round gets both kinds, too."""
    return seed_of("judge", "kind", round_number) // 2 % 2 == 0
