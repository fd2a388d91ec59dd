"""A whole repository as a folder on this disk, made from a peer's newest checkpoint.

    checkpoint --hold--> weights.py: safetensors, tokenizer, configs --> evaluation (a process) --+
    history file ------------------------------------------------------> curves (a process) ------+--> README.md,
    origin.json, progress.json -------------------------------------------------------------------+    rlswarm.json

It is written beside and renamed into place: a reader sees a whole one or the one before.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from services.publisher.card import card
from services.publisher.evaluation import Exam, evaluate
from services.publisher.facts import Facts
from services.publisher.found import Found, hold
from services.publisher.licence import licence_of
from services.publisher.names import on_hub
from services.publisher.publication import PUBLICATION, Publication
from services.publisher.weights import write_model
from shared.errors import SwarmError
from shared.names import name_of

log = logging.getLogger(__name__)

CURVES = "curves.png"
STATE = "training"  # folder of the optimizer's state in a repository


@dataclass(frozen=True)
class Request:
    """What is to be made."""

    repository: str  # as it is to be called on the hub
    swarm: str
    exam: Exam | None  # None: it is not evaluated
    with_state: bool
    history: Path  # folder of the history files


Say = Callable[[str], object]


def build(found: Found, request: Request, out: Path, say: Say = log.info) -> Facts:
    """Make the folder `out` anew. Raises SwarmError, OSError; FileNotFoundError if the checkpoint is gone already."""
    beside = out.with_name(f".{out.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    held = hold(found, out.with_name(f".{out.name}.held"))
    try:
        facts = _fill(found, request, held, beside, say)
        shutil.rmtree(out, ignore_errors=True)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(held, ignore_errors=True)
    return facts


def _fill(found: Found, request: Request, held: Path, folder: Path, say: Say) -> Facts:
    source = Path(found.origin.source)
    if not source.is_dir():
        raise SwarmError(f"the base model is not at {source} any more", "let its trainer start once more")
    say(f"writing the weights of round {found.standing.round}")
    dtype = write_model(source, held / "tensors.safetensors", found.standing.sha256, folder)
    base = on_hub(found.origin.model, is_folder=Path(found.origin.model).is_dir())
    facts = Facts(
        repository=request.repository,
        swarm=request.swarm,
        peer=found.peer,
        origin=found.origin,
        standing=found.standing,
        base=base,
        licence=licence_of(source, base),
        dtype=dtype,
        with_state=request.with_state,
        no_gguf=("none was asked for",),
    )
    facts = _evaluated(facts, request.exam, folder, say)
    facts = _plotted(facts, request.history, folder)
    if request.with_state:
        shutil.copytree(held, folder / STATE, copy_function=_link)
    finish(facts, folder)
    return facts


def finish(facts: Facts, folder: Path) -> None:
    """Write what tells of the rest. Raises OSError, ValueError."""
    (folder / "README.md").write_text(card(facts))
    (folder / PUBLICATION).write_text(publication(facts).model_dump_json(indent=1) + "\n")


def publication(facts: Facts) -> Publication:
    """The same facts, for programs."""
    standing = facts.standing
    return Publication(
        peer=facts.peer,
        name=name_of(facts.peer),
        swarm=facts.swarm,
        chain_id=standing.chain_id,
        contract=standing.contract,
        model=facts.origin.model,
        round=standing.round,
        step=standing.step,
        sha256=standing.sha256,
        mix=facts.origin.data["name"],
        score=facts.evaluation.score if facts.evaluation else None,
        lineage=standing.lineage,
        parents=facts.merged,
    )


def _evaluated(facts: Facts, exam: Exam | None, folder: Path, say: Say) -> Facts:
    if exam is None:
        return replace(facts, not_evaluated="it was not asked for")
    say("evaluating it, and the model it began from, on held-out questions")
    out = folder / ".evaluation.json"
    try:
        return replace(facts, evaluation=evaluate(str(folder), facts.origin.source, facts.origin, exam, out))
    except SwarmError as error:
        log.warning("%s", error)
        return replace(facts, not_evaluated=error.cause)
    finally:
        out.unlink(missing_ok=True)


def _plotted(facts: Facts, history: Path, folder: Path) -> Facts:
    """Curves of this peer alone: rewards, loss, completion length by round."""
    own = folder / ".history"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    for path in history.glob(f"{facts.peer}.*"):
        shutil.copyfile(path, own / path.name)
    command = [sys.executable, "-m", "services.trainer.tracking.curves", str(own), str(folder / CURVES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    shutil.rmtree(own, ignore_errors=True)
    if done.returncode == 0:
        return replace(facts, plot=CURVES)
    said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
    return replace(facts, not_plotted=f"There are no curves here: {said}")


def _link(source: str, target: str) -> None:
    """A large file need not be there twice."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
