"""What lies beside a checkpoint, for whoever makes something of it: the words trainer and publisher share.

<state>/checkpoints/<peer>/<model>/origin.json                   Origin: what is trained, how, by what
                                   <step>/progress.json          Standing (and more, for the trainer alone)
                                          tensors.safetensors    weights `model.<parameter>`, AdamW's moments: float32

A checkpoint is whole as soon as it has its name, and goes when there are two newer ones: who reads it holds its files
by links of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.messages import Digest, PeerId

TENSORS, PROGRESS, ORIGIN = "tensors.safetensors", "progress.json", "origin.json"
STEPS = "[0-9]*"  # names of a model's checkpoints
MAX_PEERS = 256  # whose groups are counted one by one

# Files of a later version say more, those of an earlier one less.
_LENIENT = ConfigDict(frozen=True, extra="ignore")


class Lineage(BaseModel):
    """What the weights of a checkpoint have learnt from, since training began."""

    model_config = _LENIENT

    updates: int = Field(default=0, ge=0)  # that changed the weights
    own: int = Field(default=0, ge=0)  # question groups sampled by the peer itself
    signed: int = Field(default=0, ge=0)  # by peers of the swarm
    unsigned: int = Field(default=0, ge=0)  # by stock nodes, or anybody in their name
    peers: Mapping[PeerId, int] = {}  # of the signed ones, by author; of very many, those with most

    @property
    def groups(self) -> int:
        """All of them."""
        return self.own + self.signed + self.unsigned

    @property
    def external_share(self) -> float:
        """The part that others sampled, 0 to 1."""
        return (self.signed + self.unsigned) / self.groups if self.groups else 0.0

    def after(self, own: int, authors: Sequence[str], unsigned: int) -> Lineage:
        """One update more, from `own` groups, one by each of `authors`, and so many that nobody signed for."""
        counted = dict(self.peers)
        for author in authors:
            counted[author] = counted.get(author, 0) + 1
        kept = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:MAX_PEERS]
        return Lineage(
            updates=self.updates + 1,
            own=self.own + own,
            signed=self.signed + len(authors),
            unsigned=self.unsigned + unsigned,
            peers=dict(kept),
        )


class Standing(BaseModel):
    """Where the training of a checkpoint stands."""

    model_config = _LENIENT

    step: int = 0  # updates tried
    round: int = -1  # the last one trained; -1: none
    swarm: str = ""  # see `Round.swarm`
    sha256: Digest = ""  # of the tensors
    lineage: Lineage = Lineage()

    @property
    def chain_id(self) -> int | None:
        """Of the chain that counts the rounds; None where there is none."""
        number = self.swarm.split(":")[0]
        return int(number) if number.isdecimal() else None

    @property
    def contract(self) -> str | None:
        """Address of the swarm's contract; None where there is none."""
        address = self.swarm.split(":")[1] if ":" in self.swarm else ""
        return address if address.startswith("0x") else None


class Origin(BaseModel):
    """What is trained, on what, how, and by what, as the trainer knew it at its last start."""

    model_config = _LENIENT

    model: str  # as MODEL_NAME names it: a model of the hub, a folder, or `embedded`
    source: str  # the folder that it was loaded from
    parameters: int
    system_prompt: str  # what the model is told before a question
    data: dict[str, Any]  # the mix: its name and sets, see `shared.tasks.Mix`
    game: dict[str, JsonValue]  # the trainer's settings of these names
    learner: dict[str, JsonValue]
    questions: int  # asked in a round
    seed: int
    device: str  # `cpu`, or what the GPU is called
    machine: dict[str, JsonValue]  # processor, cores, memory
    versions: dict[str, str]  # of Python, and of the packages that matter, by name
    commit: str = ""  # of this software; "": not known
