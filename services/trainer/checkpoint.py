"""Checkpoints that survive kill -9 at any point: written beside, flushed to disk, then renamed into place.

    <state>/checkpoints/<peer>/<model>/<step>/tensors.safetensors   weights and AdamW's moments, float32
                                              progress.json         where training stands, what it was made from

All randomness of a step follows from (seed, peer, step), so nothing else is needed to go on exactly as before.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.trainer.learner import Learner
from services.trainer.policy import Policy
from shared.messages import Digest, Registration, Reward, Trained, Winners

log = logging.getLogger(__name__)

KEPT = 2
REMEMBERED = 48  # messages: of the last sixteen rounds, far more than a queue that lost power forgets
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
TENSORS, PROGRESS = "tensors.safetensors", "progress.json"

Sent = Annotated[Registration | Reward | Winners | Trained, Field(discriminator="kind")]


class Progress(BaseModel):
    """Where a peer's training stands. In a file of an earlier version `sha256` and `parent` may be missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = 0  # updates tried since the peer began; picks questions and randomness
    round: int = -1  # last round trained
    stage: int = 0  # of that round, the last one trained
    game: JsonValue = None  # what the rest of the round needs of its earlier stages, see `Game.state`
    swarm: str = ""  # whose rounds are counted, see `Round.swarm`
    sha256: Digest = ""  # of the newest checkpoint's tensors; in its own file: of those beside it
    parent: Digest = ""  # of the checkpoint that one was trained from; "": of none
    unsent: tuple[Sent, ...] = ()  # of the last rounds, to be queued (again) after a crash; their keys make it harmless

    def with_sent(self, *messages: Reward | Winners | Trained) -> Progress:
        """These messages more; the oldest are forgotten."""
        return self.model_copy(update={"unsent": (*self.unsent, *messages)[-REMEMBERED:]})

    def sealed(self, sha256: str, told: str) -> Progress:
        """As written beside tensors of this digest; the event of key `told` names them ("": none does)."""
        unsent = tuple(
            one.model_copy(update={"weights": sha256}) if isinstance(one, Trained) and one.key == told else one
            for one in self.unsent
        )
        return self.model_copy(update={"sha256": sha256, "parent": self.sha256, "unsent": unsent})


class Checkpoints:
    """The checkpoints of one peer and one model."""

    def __init__(self, state_dir: Path, peer: str, model: str) -> None:
        self.folder = state_dir / "checkpoints" / peer / re.sub(r"[^\w.-]+", "_", model).strip("._")

    def save(self, policy: Policy, learner: Learner, progress: Progress, told: str = "") -> Progress:
        """Write a checkpoint and drop all but the newest few; `progress` as written, see `Progress.sealed`.

        Raises OSError; the older ones are then untouched.
        """
        final = self.folder / f"{progress.step:010d}"
        beside = self.folder / f".{final.name}.{os.getpid()}"
        try:
            beside.mkdir(parents=True, exist_ok=True)
            _save_tensors(_tensors(policy, learner), beside / TENSORS)
            progress = progress.sealed(_digest(beside / TENSORS), told)
            (beside / PROGRESS).write_text(progress.model_dump_json())
            for path in (*beside.iterdir(), beside):
                _flush(path)
            shutil.rmtree(final, ignore_errors=True)
            beside.rename(final)
            _flush(self.folder)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        for old in self._steps()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return progress

    def load(self, policy: Policy, learner: Learner) -> Progress:
        """Restore the newest checkpoint that is whole; a fresh `Progress` if there is none."""
        for leftover in self.folder.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for folder in reversed(self._steps()):
            try:
                progress = _read(folder)
                _restore(policy, learner, load_file(folder / TENSORS, device=str(policy.device)))
            except (OSError, ValueError, SafetensorError, KeyError, RuntimeError) as error:
                log.warning("checkpoint %s cannot be used (%s), trying the one before", folder.name, error)
                continue
            return progress
        return Progress()

    def _steps(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("[0-9]*") if path.is_dir())


def _read(folder: Path) -> Progress:
    """What stands beside the tensors. Raises OSError, and ValueError if they are not those it was written for."""
    progress = Progress.model_validate_json((folder / PROGRESS).read_text())
    sha256 = _digest(folder / TENSORS)
    if progress.sha256 not in ("", sha256):
        raise ValueError(f"{TENSORS} is not what was written: its sha256 is {sha256}, not {progress.sha256}")
    return progress.model_copy(update={"sha256": sha256})


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(policy: Policy, learner: Learner) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, weight in policy.model.named_parameters():  # tied weights once
        tensors[f"model.{name}"] = weight.detach()
        for moment, value in learner.optimizer.state.get(weight, {}).items():
            tensors[f"{moment}.{name}"] = value
    return tensors


def _restore(policy: Policy, learner: Learner, tensors: dict[str, Tensor]) -> None:
    weights: dict[str, Any] = dict(policy.model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(tensors[f"model.{name}"])
    for name, weight in weights.items():
        if f"exp_avg.{name}" in tensors:
            state = {moment: tensors[f"{moment}.{name}"].clone() for moment in MOMENTS}
            learner.optimizer.state[weight] = {**state, "step": state["step"].cpu()}


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Like `save_file`, but a full disk is the OSError it is."""
    try:
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
