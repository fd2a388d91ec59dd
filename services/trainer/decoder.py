"""Models of Llama's family (Llama, Qwen2, Qwen3), computed token by token on their own weights.

transformers computes a batch as a rectangle, padding included, and prepares masks and caches anew in each pass. Here
tokens stand in one long row without padding, and only attention knows which of them belong together. What comes out is
what the model itself gives, to rounding; any other model goes the plain way, through its own `forward`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

FAMILY = frozenset({"llama", "qwen2", "qwen3"})
# In a layer, by its number: queries (N, h, d), keys and values (N, kv, d) of N tokens to what each finds, (N, h, d).
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class Decoder:
    """The layers of a model, for tokens in one row. `of` says for which models this holds."""

    def __init__(self, model: Any) -> None:
        body = model.model
        self._embedding, self._norm, self._rotary = body.embed_tokens.weight, body.norm, body.rotary_emb
        self.layers: list[Any] = list(body.layers)
        self._head = model.lm_head.weight
        self._head_size: int = self.layers[0].self_attn.head_dim

    @classmethod
    def of(cls, model: Any) -> Decoder | None:
        """The model's, or None if it has parts that this one does not compute."""
        config = model.config
        plain = (
            config.model_type in FAMILY
            and config.hidden_act == "silu"
            and not config.attention_dropout
            and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
            and not getattr(model, "is_activation_checkpointing", False)
        )
        return cls(model) if plain else None

    def hidden(self, ids: Tensor, places: Tensor, attend: Attend) -> Tensor:
        """What the last layer says, (N, H), from the ids and the positions of N tokens."""
        x = F.embedding(ids, self._embedding)
        turn = self._turn(x, places)
        for number, layer in enumerate(self.layers):
            x = self._attention(number, layer, x, turn, attend)
            x = _feed_forward(layer, x)
        return _norm(self._norm, x)

    @property
    def vocabulary(self) -> int:
        """V."""
        return len(self._head)

    def logits(self, hidden: Tensor) -> Tensor:
        """(N, V), from (N, H)."""
        return F.linear(hidden, self._head)

    def _turn(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines of the rotary embedding (arXiv 2104.09864), (N, 1, d); the sines' first half negated."""
        cos, sin = self._rotary(x[None], places[None])
        half = torch.ones_like(sin[0, 0])
        half[: len(half) // 2] = -1
        return cos[0, :, None], (sin[0] * half)[:, None]

    def _attention(self, number: int, layer: Any, x: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        part, shape = layer.self_attn, (len(x), -1, self._head_size)
        normed = _norm(layer.input_layernorm, x)
        q, k, v = (_linear(project, normed).view(shape) for project in (part.q_proj, part.k_proj, part.v_proj))
        if hasattr(part, "q_norm"):
            q, k = _norm(part.q_norm, q), _norm(part.k_norm, k)
        q, k = _turned(q, turn).to(v.dtype), _turned(k, turn).to(v.dtype)
        return x + _linear(part.o_proj, attend(number, q, k, v).reshape(len(x), -1))


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """Scaled dot-product attention of batches (b, tokens, heads, d); fewer heads of keys are shared by several."""
    shared = q.shape[2] != k.shape[2]
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=shared)
    return found.transpose(1, 2)


def _feed_forward(layer: Any, x: Tensor) -> Tensor:
    part, normed = layer.mlp, _norm(layer.post_attention_layernorm, x)
    return x + _linear(part.down_proj, F.silu(_linear(part.gate_proj, normed)) * _linear(part.up_proj, normed))


def _linear(part: Any, x: Tensor) -> Tensor:
    return F.linear(x, part.weight, part.bias)


def _norm(part: Any, x: Tensor) -> Tensor:
    return F.rms_norm(x.float(), part.weight.shape, part.weight, part.variance_epsilon)


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    return x * turn[0] + x.roll(x.shape[-1] // 2, -1) * turn[1]
