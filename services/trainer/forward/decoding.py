"""Keys and values of a batch that grows by a token each pass, in memory that is taken once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from services.trainer.forward.decoder import Decoder, attention
from services.trainer.forward.packing import Pack


class Cache:
    """`copies` completions of each of g prompts, n in all; `logits` are those behind the prompts, (n, V)."""

    def __init__(
        self, decoder: Decoder, prompts: Sequence[Sequence[int]], copies: int, room: int, device: torch.device
    ) -> None:
        self._decoder, self._copies, self._room = decoder, copies, room
        self._pack = Pack(prompts, [], [], device)
        self._keys: list[Tensor] = []  # of each layer, (n, heads, prompt + room, d)
        self._values: list[Tensor] = []
        hidden = decoder.hidden(self._pack.ids, decoder.turn(self._pack.places), self._begin)
        self.logits = decoder.logits(hidden[self._pack.ends]).repeat_interleave(copies, 0)
        real = self._pack.prompts.real.repeat_interleave(copies, 0)
        self._place = real.sum(1)  # of the next token, among those of its row
        self._at = real.shape[1]  # where the next token's keys go
        self._seen = torch.cat([real, real.new_ones(len(real), room)], 1)[:, None, None]
        self._cos, self._sin = decoder.turn(torch.arange(self._at + room, device=device))  # of all places there will be

    def advance(self, chosen: Tensor, going: Tensor | None) -> Tensor:
        """The logits behind one more token of each row, (n, V); first, only the rows `going` stay. See `sampling`."""
        if going is not None:
            self._place, self._seen = self._place[going], self._seen[going]
            self._keys = [keys.index_select(0, going) for keys in self._keys]
            self._values = [values.index_select(0, going) for values in self._values]
        turn = self._cos.index_select(0, self._place), self._sin.index_select(0, self._place)
        hidden = self._decoder.hidden(chosen, turn, self._append)
        self._place, self._at = self._place + 1, self._at + 1
        return self._decoder.logits(hidden)

    def _begin(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        for memory, new in ((self._keys, k), (self._values, v)):
            spread = self._pack.prompts.spread(new).transpose(1, 2).repeat_interleave(self._copies, 0)
            memory.append(torch.cat([spread, spread.new_empty(*spread.shape[:2], self._room, spread.shape[3])], 2))
        return self._pack.attend(number, q, k, v)

    def _append(self, number: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self._keys[number], self._values[number]
        keys[:, :, self._at], values[:, :, self._at] = k, v
        until = self._at + 1
        seen = self._seen[..., :until]
        return attention(q[:, None], keys[:, :, :until].transpose(1, 2), values[:, :, :until].transpose(1, 2), seen)
