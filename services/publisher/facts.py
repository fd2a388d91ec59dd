"""All that a model card is made of. Nothing in it is guessed: what is not known is not there."""

from __future__ import annotations

from dataclasses import dataclass

from services.publisher.evaluation import Evaluation
from services.publisher.licence import Licence
from shared.checkpoints import Origin, Standing


@dataclass(frozen=True)
class GgufFile:
    """One file for llama.cpp that was loaded and compared before it was put here."""

    name: str
    kind: str  # F16, Q5_K_M, ...
    bytes: int
    agreement: float  # share of the greedy tokens that are those of the safetensors model
    divergence: float  # nats: mean KL divergence of its next token from that model's
    largest: float  # difference of two logits of the same token
    splits_alike: bool = True  # llama.cpp tokenizes as the model's own tokenizer does


@dataclass(frozen=True)
class Facts:
    """What is known of one checkpoint and of how it came about."""

    repository: str  # as it is called on the hub, with its owner where that is known
    swarm: str  # the swarm's name
    peer: str
    origin: Origin
    standing: Standing
    base: str | None  # the base model's name on the hub; None: it does not come from there
    licence: Licence
    dtype: str  # of the published weights
    evaluation: Evaluation | None = None
    not_evaluated: str = ""  # why there is none
    plot: str | None = None  # file name
    not_plotted: str = ""
    gguf: tuple[GgufFile, ...] = ()
    no_gguf: tuple[str, ...] = ()  # what is not there, and why
    with_state: bool = False  # the optimizer's state is there, too
    merged: tuple[str, ...] = ()  # repositories that this one is the mean of; empty: it was trained itself
