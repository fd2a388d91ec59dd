"""How many of a model's weights a step changes.

At learning rates of 1e-6 a step is smaller than half the distance between two neighbours in bfloat16, and nearly all
weights stay as they are; in float32 nearly all move. Looked at in a fixed random sample: a copy of all weights would
cost as much memory as the model.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

SAMPLE = 16_384  # weights: a share of 2 % is then known to 0.1 %


class Movement:
    """A fixed sample of weights, each as likely as any other."""

    def __init__(self, weights: Iterable[Tensor], size: int = SAMPLE, seed: int = 0) -> None:
        self._weights = [weight.detach() for weight in weights]
        total = sum(weight.numel() for weight in self._weights)
        drawn = torch.randint(total, (min(size, total),), generator=torch.Generator().manual_seed(seed)).sort().values
        ends = torch.tensor([weight.numel() for weight in self._weights]).cumsum(0)
        starts = [0, *ends.tolist()[:-1]]
        parts = drawn.tensor_split(torch.searchsorted(drawn, ends)[:-1])
        chosen = zip(self._weights, parts, starts, strict=True)
        self._places = [(part - start).to(weight.device) for weight, part, start in chosen]

    def look(self) -> list[Tensor]:
        """The sampled weights as they are."""
        return [torch.take(weight, places) for weight, places in zip(self._weights, self._places, strict=True)]

    def since(self, before: list[Tensor]) -> float:
        """Share of the weights, 0 to 1, that are no longer what they were at a `look`."""
        changed = [(now != then).sum() for now, then in zip(self.look(), before, strict=True)]
        return float(torch.stack(changed).sum()) / sum(map(len, before))
