"""Checkpoints that survive kill -9 at any point: written beside, flushed to disk, then renamed into place.

    <state>/checkpoints/<peer>/<model>/<step>/tensors.safetensors   weights and AdamW's moments, float32
                                              progress.json         where training stands, what it was made from
                                       origin.json           what is trained, how and by what, see origin.py
                                       damaged/<step>/              what could not be used, for whoever looks into it

There is no state of a random generator in it: all randomness of a step follows from (seed, peer, step), updates
have no dropout, and nothing draws from the global generators of torch, Python and numpy.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.trainer import metrics
from services.trainer.learning.learner import Learner
from services.trainer.learning.picks import Memory
from services.trainer.model.policy import Policy
from services.trainer.pacing import Pace
from services.trainer.state.tensors import digest, read_tensors, write_tensors
from shared.checkpoints import PROGRESS, STEPS, TENSORS, Lineage
from shared.messages import Digest, Registration, Reward, Round, Trained, Winners

log = logging.getLogger(__name__)

KEPT = 2
DAMAGED_KEPT = 2  # as many as one start may find: none is lost before somebody could look
REMEMBERED = 48  # messages: of the last sixteen rounds, far more than a queue that lost power forgets
DAMAGED = "damaged"

Sent = Annotated[Registration | Reward | Winners | Trained, Field(discriminator="kind")]


class Progress(BaseModel):
    """Where a peer's training stands. In a file of an earlier version all but the first fields may be missing."""

    # A file of a later version has more, which an earlier one that is put back does without.
    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int = 0  # updates tried since the peer began; picks randomness
    round: int = -1  # last round trained
    stage: int = 0  # of that round, the last one trained
    swarm: str = ""  # whose rounds are counted, see `Round.swarm`
    sha256: Digest = ""  # of the newest checkpoint's tensors; in its own file: of those beside it
    parent: Digest = ""  # of the checkpoint that one was trained from; "": of none
    asked: int | None = None  # questions asked so far: the next one's number; None: as many in each step
    micro_completions: int = 0  # of a backward pass that fit, once more did not; 0: as the settings say
    game: dict[str, JsonValue] = {}  # what the game remembers between two stages of a round, see `Game.state`
    pace: Pace = Pace()  # how fast this trainer was lately
    memory: Memory = Memory()  # of the pick
    lineage: Lineage = Lineage()  # what the weights have learnt from
    unsent: tuple[Sent, ...] = ()  # of the last rounds, to be queued (again) after a crash; their keys make it harmless

    def next(self, count: int) -> range:
        """Numbers of the next questions of this peer's own sequence: none is skipped, none asked twice."""
        return range(self.asked or 0, (self.asked or 0) + count)

    def after(self, questions: range, round_: Round | None, game: Mapping[str, JsonValue]) -> Progress:
        """One step further: these questions were asked in this round (None: in none), and the game remembers that."""
        update = {"step": self.step + 1, "asked": questions.stop, "game": dict(game)}
        place = {} if round_ is None else {"round": round_.number, "stage": round_.stage}
        return self.model_copy(update={**update, **place})

    def with_sent(self, message: Reward | Winners | Trained) -> Progress:
        """One message more; the oldest are forgotten."""
        if message in self.unsent:
            return self
        return self.model_copy(update={"unsent": (*self.unsent, message)[-REMEMBERED:]})

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
        self.damage = ""  # why the last `load` did not take the newest; "": it did

    def save(self, policy: Policy, learner: Learner, progress: Progress, told: str = "") -> Progress:
        """Write a checkpoint and drop all but the newest few; `progress` as written, see `Progress.sealed`.

        Raises OSError; the older ones are then untouched.
        """
        final = self.folder / f"{progress.step:010d}"
        beside = self.folder / f".{final.name}.{os.getpid()}"
        try:
            beside.mkdir(parents=True, exist_ok=True)
            write_tensors(policy, learner, beside / TENSORS)
            progress = progress.sealed(digest(beside / TENSORS), told)
            (beside / PROGRESS).write_text(progress.model_dump_json())
            for path in (*beside.iterdir(), beside):
                flush(path)
            shutil.rmtree(final, ignore_errors=True)
            beside.rename(final)
            flush(self.folder)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        for old in self._steps()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return progress

    def load(self, policy: Policy, learner: Learner) -> Progress:
        """Restore the newest checkpoint that is whole; a fresh `Progress` if there is none.

        Raises PermissionError: what may not be read is not damaged.
        """
        for leftover in self.folder.glob(".*"):
            shutil.rmtree(leftover, ignore_errors=True)
        damaged: list[tuple[str, Exception]] = []
        found = Progress()
        for folder in reversed(self._steps()):
            try:
                progress = _read(folder)
                read_tensors(policy, learner, folder / TENSORS)
            except PermissionError:
                raise
            except (OSError, ValueError) as error:
                damaged.append((folder.name, error))
                self._set_aside(folder)
                continue
            found = progress
            break
        self.damage = "; ".join(self._explain(name, error, found.step) for name, error in damaged)
        return found

    def _steps(self) -> list[Path]:
        return sorted(path for path in self.folder.glob(STEPS) if path.is_dir())

    def _set_aside(self, folder: Path) -> None:
        """Out of the way, and not deleted: the next checkpoint of this step takes its name."""
        metrics.CHECKPOINTS_DAMAGED.inc()
        aside = self.folder / DAMAGED / folder.name
        try:
            aside.parent.mkdir(exist_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        except OSError as error:
            log.warning("%s cannot be set aside (%s)", folder, error)
        for old in sorted(aside.parent.glob("*"), key=lambda path: path.stat().st_ctime_ns)[:-DAMAGED_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def _explain(self, name: str, error: Exception, step: int) -> str:
        """Cause and consequence, logged and returned."""
        lost = f"{int(name) - step} rounds of learning are lost, training goes on from step {step}"
        rest = lost if step else "there is no whole one before it: training begins anew"
        line = f"checkpoint {int(name)} is damaged ({_first_line(error)}); {rest}; it lies in {self.folder / DAMAGED}"
        log.error("%s", line)
        return line


def _read(folder: Path) -> Progress:
    """What stands beside the tensors. Raises OSError, and ValueError if they are not those it was written for."""
    progress = Progress.model_validate_json((folder / PROGRESS).read_text())
    sha256 = digest(folder / TENSORS)
    if progress.sha256 not in ("", sha256):
        raise ValueError(f"{TENSORS} is not what was written: its sha256 is {sha256}, not {progress.sha256}")
    return progress.model_copy(update={"sha256": sha256})


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".")


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
