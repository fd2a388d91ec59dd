"""Which model a peer trains where nobody named one (MODEL_NAME is not set, or `auto`): one that its memory holds.

    a GPU of 40 GiB or more   three of 1.5 to 1.8 thousand million parameters
    less, also a CPU          two of half a thousand million, as far as they fit
    too little for these      the embedded model

The pools are those of RL Swarm. Which model of its pool a peer takes follows from its id: it is the same at every
start, and a swarm has all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.trainer.model.footprint import BFLOAT16, FLOAT32, GIB, Footprint, Shape, gib, update_footprint
from services.trainer.model.hardware import Memory
from shared.tasks import seed_of

AUTO, BUILT_IN = "auto", "embedded"  # what stands in MODEL_NAME for no model of the hub
LARGE_FROM = 40 * GIB  # of GPU memory
LEAST_TOKENS = 128  # of an answer: a model that cannot even be trained on one of so many does not fit
USUAL_TOKENS = 512  # of an answer, where the settings leave it open


@dataclass(frozen=True)
class Candidate:
    """A model of the hub that a peer may be given; its shape is known without asking."""

    name: str
    shape: Shape


def _qwen(name: str, parameters: int, *widths: int) -> Candidate:
    layers, hidden, intermediate, queries, keys = widths
    return Candidate(name, Shape(parameters, layers, hidden, intermediate, queries, keys, vocabulary=151_936))


# Name, parameters, layers, and the widths of hidden states, MLP, queries and keys: those of Qwen2.5 and Qwen3, of which
# all of them were made. What is downloaded is measured by its own config.json.
LARGE = (
    _qwen("nvidia/AceInstruct-1.5B", 1_543_714_304, 28, 1536, 8960, 1536, 256),
    _qwen("dnotitia/Smoothie-Qwen3-1.7B", 1_720_574_976, 28, 2048, 6144, 2048, 1024),
    _qwen("Gensyn/Qwen2.5-1.5B-Instruct", 1_543_714_304, 28, 1536, 8960, 1536, 256),
)
SMALL = (
    _qwen("Gensyn/Qwen2.5-0.5B-Instruct", 494_032_768, 24, 896, 4864, 896, 128),
    _qwen("Qwen/Qwen3-0.6B", 596_049_920, 28, 1024, 3072, 2048, 1024),
)


def pool(memory: Memory) -> list[Candidate]:
    """What this hardware can train at the usual length; nothing: only the embedded model."""
    if memory.kind == "cuda" and memory.limit >= LARGE_FROM:
        return list(LARGE)
    return [one for one in SMALL if usual(one.shape, memory).total <= memory.limit]


def in_order(candidates: Sequence[Candidate], peer: str) -> list[str]:
    """The candidates' names, the peer's own first; the others stand in for it where it cannot be had."""
    if not candidates:
        return []
    first = seed_of("model", peer) // 2 % len(candidates)
    return [one.name for one in (*candidates[first:], *candidates[:first])]


def usual(shape: Shape, memory: Memory) -> Footprint:
    """What training takes, one completion of the usual length at a time."""
    return update_footprint(shape, 1, USUAL_TOKENS, width=_width(memory))


def least(shape: Shape, memory: Memory) -> Footprint:
    """What training takes at the very least."""
    return update_footprint(shape, 1, LEAST_TOKENS, width=_width(memory))


def too_large(shape: Shape, memory: Memory) -> str | None:
    """Why a model cannot be trained in so much memory, with numbers; None if it can."""
    need = least(shape, memory)
    if need.total <= memory.limit:
        return None
    parts = {
        "weights": need.weights, "gradients": need.gradients, "optimizer": need.moments, "one answer": need.activations
    }  # fmt: skip
    listed = ", ".join(f"{name} {gib(size)}" for name, size in parts.items())
    where = "this GPU has" if memory.kind == "cuda" else "this machine or container has"
    return f"it takes at least {gib(need.total)} ({listed}), and {where} {gib(memory.limit)}"


def _width(memory: Memory) -> int:
    return BFLOAT16 if memory.kind == "cuda" else FLOAT32
