"""How near a GGUF file has to be to the model that it was made from. Pure.

Measured on the same tokens: the model's own greedy answers, token by token. What of it differs by kind is how much of
the weights is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """What is still good enough."""

    agreement: float  # share of the tokens that are the likeliest in both, at least
    divergence: float  # nats, mean over the tokens, at most


# From most to least. A token that is the likeliest by a hair may be another one without anybody's fault.
TOLERANCES = {
    "F16": Tolerance(0.98, 0.01),
    "Q5_K_M": Tolerance(0.90, 0.05),
    "Q4_K_M": Tolerance(0.85, 0.15),
    "Q3_K_M": Tolerance(0.70, 0.50),
}
KINDS = tuple(TOLERANCES)


@dataclass(frozen=True)
class Comparison:
    """What one file came to."""

    tokens: int  # compared
    agreement: float
    divergence: float  # nats
    largest: float  # difference of two logits
    same_answers: int  # greedy answers that are the same to the last token, of `answers`
    answers: int
    same_prompts: int  # prompts that llama.cpp splits into the same tokens

    def fault(self, kind: str) -> str | None:
        """Why such a file must not be published; None: it may."""
        allowed = TOLERANCES[kind]
        if not self.divergence <= allowed.divergence:  # also where it is not a number
            return f"it is {self.divergence:.4f} nats from the model in the mean, {allowed.divergence} are allowed"
        if self.agreement < allowed.agreement:
            return f"{self.agreement:.1%} of its tokens are the model's, {allowed.agreement:.0%} are needed"
        return None

    @property
    def splits_alike(self) -> bool:
        """llama.cpp tokenizes as the model's own tokenizer does."""
        return self.same_prompts == self.answers


def share(flags: Sequence[bool]) -> float:
    """Of none, 0."""
    return sum(flags) / len(flags) if flags else 0.0
