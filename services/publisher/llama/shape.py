"""What llama.cpp is told of a model's shape: config.json in, the keys of a GGUF header out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import SwarmError

ARCHITECTURES = ("llama", "qwen2", "qwen3")  # llama.cpp's words, which are also `model_type` in config.json


class Unsupported(SwarmError):
    """A model that cannot be written as GGUF here, and why."""

    def __init__(self, why: str) -> None:
        super().__init__(why, "llama.cpp's own convert_hf_to_gguf.py may know it")


@dataclass(frozen=True)
class Shape:
    """Sizes and constants, by llama.cpp's words."""

    architecture: str
    context_length: int
    embedding_length: int
    block_count: int
    feed_forward_length: int
    head_count: int
    head_count_kv: int
    head_length: int  # of one head's keys and values
    rope_freq_base: float
    rms_epsilon: float
    vocabulary: int  # rows of the embedding


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The shape that a config.json tells. Raises Unsupported."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        raise Unsupported(f"its architecture, {kind}, is not one of {', '.join(ARCHITECTURES)}")
    if config.get("use_sliding_window"):
        raise Unsupported("it looks through a sliding window")
    if kind == "llama" and (config.get("attention_bias") or config.get("mlp_bias")):
        raise Unsupported("it is a Llama with biases")
    try:
        heads = int(config["num_attention_heads"])
        return Shape(
            architecture=kind,
            context_length=int(config["max_position_embeddings"]),
            embedding_length=int(config["hidden_size"]),
            block_count=int(config["num_hidden_layers"]),
            feed_forward_length=int(config["intermediate_size"]),
            head_count=heads,
            head_count_kv=int(config.get("num_key_value_heads") or heads),
            head_length=int(config.get("head_dim") or config["hidden_size"] // heads),
            rope_freq_base=_rope_base(config),
            rms_epsilon=float(config["rms_norm_eps"]),
            vocabulary=int(config["vocab_size"]),
        )
    except KeyError as error:
        raise Unsupported(f"its config.json does not tell {error}") from error


def _rope_base(config: Mapping[str, Any]) -> float:
    """Base of the rotary frequencies, by the new name or the old one."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind != "default":
        raise Unsupported(f"its positions are scaled ({kind})")
    return float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
