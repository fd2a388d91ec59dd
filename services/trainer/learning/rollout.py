"""A question group on this side of the wire: scored, and with token ids where it was sampled here."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from services.trainer.learning.advantages import informative
from shared.messages import Completion, Group, Question


def source_of(author: str, *, signed: bool) -> str:
    """What one peer's rollouts are kept under: those that anybody may have written never stand in its own place."""
    return author if signed else f"{author}:unsigned"


@dataclass(frozen=True)
class Scored:
    """G completions of one question and what each earned here.

    `tokens` are the ids as sampled, end token included, for local groups: re-tokenized text is not always the same.
    `log_probs` (nats, one a token) are those of the distribution each token was drawn from: at the sampling
    temperature, and after top-k and top-p. `step` is this peer's at which they were drawn, which tells by what weights.
    All three are None for peers' groups, which arrive as text. `correctness` is what each completion earned for being
    right, where a game rewards more than that; None: all of it.
    """

    author: str  # peer id
    question: Question
    completions: tuple[Completion, ...]
    rewards: tuple[float, ...]
    tokens: tuple[tuple[int, ...], ...] | None = None
    log_probs: tuple[tuple[float, ...], ...] | None = None
    step: int | None = None
    correctness: tuple[float, ...] | None = None
    signed: bool = True  # False: of a stock node, or of anybody in the author's name

    @property
    def source(self) -> str:
        """The author; where nobody signed for it, another name than the author's own."""
        return source_of(self.author, signed=self.signed)

    @property
    def informative(self) -> bool:
        """Some completion did better than another."""
        return informative(self.rewards)

    @property
    def mean_reward(self) -> float:
        """Mean over the completions."""
        return fmean(self.rewards)

    @property
    def correct(self) -> tuple[float, ...]:
        """What each completion earned for being right."""
        return self.rewards if self.correctness is None else self.correctness

    def as_group(self) -> Group:
        """What peers get: text only."""
        return Group(question=self.question, completions=self.completions)
