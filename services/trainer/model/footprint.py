"""How much memory training a model takes, from its shape alone: told before anything of it is downloaded.

    weights + gradients + AdamW's two moments, float32    16 bytes a parameter; the embedding's gradient once more,
                                                          while that of a pass is added to it
    what the backward pass needs of each token            by layer, or one layer where they are computed again
    logits of sampled tokens                              of all at once, or in pieces where our own decoder computes
    keys and values while sampling                        by layer, for each token of all completions at once

The factors are measured (`tests/integration/test_trainer_hardware.py` holds them against torch); they are those of
a decoder with gated MLPs, rotary positions and query and key norms, the hungriest of the common kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FLOAT32, BFLOAT16 = 4, 2  # bytes
GIB = 2**30
PACKED = frozenset({"llama", "qwen2", "qwen3"})  # kinds that forward/decoder.py computes
MOST = 2**24  # logits it holds at once with their gradient; more are computed in pieces, and again in the backward pass


@dataclass(frozen=True)
class Shape:
    """Numbers that decide what a decoder-only model takes."""

    parameters: int
    layers: int
    hidden: int
    intermediate: int  # width of the MLP
    queries: int  # heads times their width
    keys: int  # key-value heads times their width
    vocabulary: int
    packed: bool = True  # it is computed by forward/decoder.py: layers may be recomputed, logits come in pieces


def shape_of(config: Any, parameters: int) -> Shape:
    """The shape that a transformers config tells; what it leaves out is as in a GPT."""
    hidden, heads = config.hidden_size, config.num_attention_heads
    width = getattr(config, "head_dim", None) or hidden // heads
    return Shape(
        parameters=parameters,
        layers=config.num_hidden_layers,
        hidden=hidden,
        intermediate=getattr(config, "intermediate_size", None) or 4 * hidden,
        queries=heads * width,
        keys=(getattr(config, "num_key_value_heads", None) or heads) * width,
        vocabulary=config.vocab_size,
        packed=getattr(config, "model_type", None) in PACKED,
    )


@dataclass(frozen=True)
class Footprint:
    """Bytes."""

    weights: int
    gradients: int
    moments: int
    activations: int

    @property
    def total(self) -> int:
        """All of it at once, as in the backward pass."""
        return self.weights + self.gradients + self.moments + self.activations


def update_footprint(
    shape: Shape,
    completions: int,
    new_tokens: int,
    *,
    prompt_tokens: int = 256,
    width: int = FLOAT32,
    recompute: bool = True,
) -> Footprint:
    """An update whose backward pass takes `completions` of one question at a time, each of `new_tokens` at most.

    `width` is bytes per number of the arithmetic: 4 in float32, 2 under bfloat16 autocast, which keeps a second copy
    of the weights. The weights themselves are float32. `recompute`: layers are computed again in the backward pass.
    """
    again = recompute and shape.packed
    weights, sampled = shape.parameters * FLOAT32, completions * new_tokens
    copied = shape.vocabulary * shape.hidden if again else shape.parameters
    copies = copied * width if width < FLOAT32 else 0
    kept = (prompt_tokens + sampled) * token_bytes(shape, width, recompute=again) + logits_bytes(shape, sampled)
    added = shape.vocabulary * shape.hidden * FLOAT32
    return Footprint(weights, weights + added, 2 * weights, kept + copies)


def token_bytes(shape: Shape, width: int = FLOAT32, *, recompute: bool = False) -> int:
    """What the backward pass needs of one token, all layers together, without its logits."""
    layer = (7 * shape.hidden + 4 * shape.intermediate + 7 * shape.queries + 3 * shape.keys) * width
    if not recompute:
        return shape.layers * layer
    begins = shape.layers * shape.hidden * FLOAT32
    return begins + 3 * layer  # one layer, its gradients, and what attention copies


def logits_bytes(shape: Shape, tokens: int) -> int:
    """What sampled tokens take for their logits: as computed, scaled, and the gradients of both, in float32."""
    logits = tokens * shape.vocabulary
    return 4 * FLOAT32 * (min(logits, max(MOST, shape.vocabulary)) if shape.packed else logits)


def cache_bytes(shape: Shape, tokens: int, width: int = FLOAT32) -> int:
    """Keys and values of `tokens` tokens, all completions together."""
    return 2 * shape.layers * shape.keys * tokens * width


def gib(size: int) -> str:
    """Bytes as people read them: `12.3 GiB`."""
    return f"{size / GIB:.1f} GiB"
