"""What an update learns from, as token ids, and how it is cut into pieces that fit the memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

# An advantage that is only what rounding left of zero.
NOTHING = 1e-9


@dataclass(frozen=True)
class Batch:
    """Groups as token ids, ready for the model: g prompts, n completions in all."""

    prompts: Sequence[Sequence[int]]
    completions: list[list[int]]
    owner: list[int]  # which prompt each completion answers, ascending
    advantages: list[float]  # of each completion
    old: Sequence[Tensor | None] = ()  # of each: log-probs of its tokens when sampled; None: by the present policy

    def part(self, rows: Sequence[int]) -> Batch:
        """Only these completions, and the prompts that they answer."""
        asked = sorted({self.owner[row] for row in rows})
        return Batch(
            prompts=[self.prompts[index] for index in asked],
            completions=[self.completions[row] for row in rows],
            owner=[asked.index(self.owner[row]) for row in rows],
            advantages=[self.advantages[row] for row in rows],
            old=[self.old[row] for row in rows] if self.old else (),
        )

    def teaching(self) -> Batch:
        """Without completions whose advantage is zero: without a reference model none of them has a gradient."""
        return self.part([row for row, advantage in enumerate(self.advantages) if abs(advantage) > NOTHING])

    def since(self, old: Sequence[Tensor]) -> Batch:
        """The same, sampled by a policy that gave these log-probabilities."""
        return replace(self, old=old)


def spans(owner: Sequence[int], groups: int, completions: int) -> list[range]:
    """Consecutive rows that pass through the model together, all n of them in order.

    At most `groups` groups and `completions` completions at once, 0: any number. A group of more is split.
    """
    found: list[range] = []
    start = 0
    for row in range(1, len(owner) + 1):
        full = bool(completions) and row - start >= completions
        crowded = bool(groups) and row < len(owner) and len(set(owner[start : row + 1])) > groups
        if row == len(owner) or full or crowded:
            found.append(range(start, row))
            start = row
    return [span for span in found if span]
