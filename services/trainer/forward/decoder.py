"""Models of Llama's family (Llama, Qwen2, Qwen3), computed token by token on their own weights.

transformers computes a batch as a rectangle, padding included, and prepares masks and caches anew in each pass. Here
tokens stand in one long row without padding, and only attention knows which of them belong together. What comes out is
what the model itself gives, to rounding; any other model goes the plain way, through its own `forward`.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from services.trainer.model.footprint import PACKED

# In a layer, by its number: queries (N, h, d), keys and values (N, kv, d) of N tokens to what each finds, (N, h, d).
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
Turn = tuple[Tensor, Tensor]  # cosines and sines of the places of N tokens, (N, 1, d); the sines' first half negated


@dataclass(frozen=True)
class Part:
    """Weight and bias of a projection."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, module: Any) -> Part:
        """A module's own."""
        return cls(module.weight, module.bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Project (..., in) to (..., out)."""
        return F.linear(x, self.weight, self.bias)

    def to(self, dtype: torch.dtype) -> Part:
        """A copy in another precision."""
        return Part(self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))


@dataclass(frozen=True)
class Layer:
    """What a layer is made of; the norms of queries and keys are Qwen3's."""

    projections: dict[str, Part]  # q, k, v, o, gate, up, down
    norms: dict[str, Any]  # before, after, and q, k or neither

    @classmethod
    def of(cls, layer: Any) -> Layer:
        """A model's own layer."""
        attend, feed = layer.self_attn, layer.mlp
        parts = {name: Part.of(getattr(attend, f"{name}_proj")) for name in "qkvo"}
        parts |= {name: Part.of(getattr(feed, f"{name}_proj")) for name in ("gate", "up", "down")}
        norms = {"before": layer.input_layernorm, "after": layer.post_attention_layernorm}
        if hasattr(attend, "q_norm"):
            norms |= {"q": attend.q_norm, "k": attend.k_norm}
        return cls(parts, norms)

    def to(self, dtype: torch.dtype) -> Layer:
        """A copy, its projections in another precision."""
        return Layer({name: part.to(dtype) for name, part in self.projections.items()}, self.norms)


class Decoder:
    """The layers of a model, for tokens in one row. `of` says for which models this holds."""

    def __init__(self, model: Any) -> None:
        body = model.model
        self._embedding, self._norm, self._rotary = body.embed_tokens.weight, body.norm, body.rotary_emb
        self._layers = [Layer.of(layer) for layer in body.layers]
        self._head = Part(model.lm_head.weight, None)
        self._head_size: int = body.layers[0].self_attn.head_dim

    @classmethod
    def of(cls, model: Any) -> Decoder | None:
        """The model's, or None if it has parts that this one does not compute. Its weights are float32."""
        config = model.config
        plain = (
            config.model_type in PACKED
            and model.dtype == torch.float32
            and config.hidden_act == "silu"
            and not config.attention_dropout
            and set(getattr(config, "layer_types", None) or ["full_attention"]) == {"full_attention"}
            and not getattr(model, "is_activation_checkpointing", False)
        )
        return cls(model) if plain else None

    def to(self, dtype: torch.dtype) -> Decoder:
        """A copy whose projections are converted once, where autocast would convert them in every pass."""
        copied = copy(self)
        copied._layers, copied._head = [layer.to(dtype) for layer in self._layers], self._head.to(dtype)
        return copied

    def hidden(self, ids: Tensor, turn: Turn, attend: Attend, *, recompute: bool = False) -> Tensor:
        """What the last layer says, (N, H), from the ids of N tokens and the `turn` of their places.

        recompute: of a layer only its input is kept, and the backward pass computes the layer again (arXiv 1604.06174).
        """
        x = F.embedding(ids, self._embedding)
        for number, layer in enumerate(self._layers):
            through = partial(self._through, number, layer, turn=turn, attend=attend)
            if recompute:
                x = checkpoint(_uncached(through), x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = through(x)
        return _norm(self._norm, x)

    @property
    def vocabulary(self) -> int:
        """V."""
        return len(self._head.weight)

    def logits(self, hidden: Tensor) -> Tensor:
        """(N, V), from (N, H)."""
        return self._head(hidden)

    def turn(self, places: Tensor) -> Turn:
        """The rotary embedding (arXiv 2104.09864) of these places, (N,)."""
        cos, sin = self._rotary(self._embedding, places[None])
        half = torch.ones_like(sin[0, 0])
        half[: len(half) // 2] = -1
        return cos[0, :, None], (sin[0] * half)[:, None]

    def _through(self, number: int, layer: Layer, x: Tensor, turn: Turn, attend: Attend) -> Tensor:
        x = x + self._attention(number, layer, x, turn, attend)
        return x + _feed_forward(layer, x)

    def _attention(self, number: int, layer: Layer, x: Tensor, turn: Turn, attend: Attend) -> Tensor:
        parts, norms, shape = layer.projections, layer.norms, (len(x), -1, self._head_size)
        normed = _norm(norms["before"], x)
        q, k, v = (parts[name](normed).view(shape) for name in "qkv")
        if "q" in norms:
            q, k = _norm(norms["q"], q), _norm(norms["k"], k)
        q, k = _turned(q, turn).to(v.dtype), _turned(k, turn).to(v.dtype)
        return parts["o"](attend(number, q, k, v).reshape(len(x), -1))


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """Scaled dot-product attention of batches (b, tokens, heads, d); fewer heads of keys are shared by several."""
    shared = q.shape[2] != k.shape[2]
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=shared)
    return found.transpose(1, 2)


def _uncached(through: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same, keeping none of the copies in bfloat16 that autocast makes of weights."""

    def run(x: Tensor) -> Tensor:
        with torch.autocast(
            x.device.type,
            dtype=torch.get_autocast_dtype(x.device.type),
            enabled=torch.is_autocast_enabled(x.device.type),
            cache_enabled=False,
        ):
            return through(x)

    return run


def _feed_forward(layer: Layer, x: Tensor) -> Tensor:
    parts, normed = layer.projections, _norm(layer.norms["after"], x)
    return parts["down"](F.silu(parts["gate"](normed)) * parts["up"](normed))


def _norm(part: Any, x: Tensor) -> Tensor:
    return F.rms_norm(x.float(), part.weight.shape, part.weight, part.variance_epsilon)


def _turned(x: Tensor, turn: Turn) -> Tensor:
    return x * turn[0] + x.roll(x.shape[-1] // 2, -1) * turn[1]
