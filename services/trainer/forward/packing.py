"""Prompts and completions in one row of tokens without padding, and who attends to whom there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from services.trainer.forward.decoder import attention

Rows = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Block:
    """Sequences of various lengths, part of the row, as a rectangle for attention."""

    slots: Tensor  # (n, longest): where in the row each token stands; padding points to the first one
    real: Tensor  # (n, longest), bool: not padding

    @classmethod
    def of(cls, lengths: Sequence[int], start: int, device: torch.device) -> Block:
        """Sequences of these lengths, one behind the other from place `start` on."""
        across = torch.arange(max(lengths, default=0), device=device)[None]
        begins = [start, *accumulate(lengths, initial=start)][1:-1] if lengths else []
        real = across < torch.tensor(lengths, device=device, dtype=torch.long)[:, None]
        return cls(torch.where(real, torch.tensor(begins, device=device, dtype=torch.long)[:, None] + across, 0), real)

    def spread(self, x: Tensor) -> Tensor:
        """(N, ...) of the row as (n, longest, ...)."""
        return x.index_select(0, self.slots.flatten()).view(*self.slots.shape, *x.shape[1:])

    def gather(self, x: Tensor) -> Tensor:
        """What `spread` made, as a row again, without padding."""
        return x.flatten(0, 1).index_select(0, self.real.flatten().nonzero()[:, 0])


class Pack:
    """g prompts, then n completions, each of which goes on where the prompt that it answers ends."""

    def __init__(self, prompts: Rows, completions: Rows, owner: Sequence[int], device: torch.device) -> None:
        lengths = list(map(len, prompts))
        start = sum(lengths)
        self.ids = torch.tensor([token for row in (*prompts, *completions) for token in row], device=device)
        behind = [lengths[asked] for asked in owner]
        pairs = [*((0, n) for n in lengths), *zip(behind, map(len, completions), strict=True)]
        self.places = torch.tensor([place for begin, n in pairs for place in range(begin, begin + n)], device=device)
        self.prompts = Block.of(lengths, 0, device)
        self.completions = Block.of(list(map(len, completions)), start, device)
        self.ends = torch.tensor(lengths, device=device).cumsum(0) - 1  # where each prompt's last token stands
        self._owner = torch.tensor(owner, device=device, dtype=torch.long)
        self._mask = self._seen()

    def attend(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See `decoder.Attend`. A prompt's keys and values are computed once for all who answer it."""
        asked = self.prompts
        pk, pv = asked.spread(k), asked.spread(v)
        found = asked.gather(attention(asked.spread(q), pk, pv, causal=True))
        if not self.completions.slots.numel():
            return found
        said = self.completions
        keys = torch.cat([pk.index_select(0, self._owner), said.spread(k)], 1)
        values = torch.cat([pv.index_select(0, self._owner), said.spread(v)], 1)
        return torch.cat([found, said.gather(attention(said.spread(q), keys, values, self._mask))])

    def _seen(self) -> Tensor:
        """(n, 1, T, P + T): a completion's token sees its prompt, itself, and what comes before it."""
        n, longest = self.completions.slots.shape
        asked = self.prompts.real[self._owner][:, None, :].expand(n, longest, -1)
        said = torch.ones(longest, longest, dtype=torch.bool, device=self.ids.device).tril()
        return torch.cat([asked, said.expand(n, -1, -1)], 2)[:, None]
