"""A whole repository as a folder on this disk, made from a peer's newest checkpoint.

    checkpoint --hold--> weights.py: safetensors, tokenizer, configs --> evaluation (a process) --+
    history file ------------------------------------------------------> curves (a process) ------+--> README.md,
    origin.json, progress.json -------------------------------------------------------------------+    rlswarm.json

It is written beside and renamed into place: a reader sees a whole one or the one before.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from services.publisher.card import card
from services.publisher.evaluation import Exam, evaluate
from services.publisher.facts import Facts
from services.publisher.found import Found, hold
from services.publisher.licence import licence_of
from services.publisher.llama.export import export
from services.publisher.llama.reference import ollama_template
from services.publisher.names import BUILT_IN, on_hub, short
from services.publisher.publication import PUBLICATION, Publication
from services.publisher.running import modelfile
from services.publisher.weights import write_model
from shared.errors import SwarmError
from shared.names import name_of

log = logging.getLogger(__name__)

CURVES = "curves.png"
MODELFILE = "Modelfile"
STATE = "training"  # folder of the optimizer's state in a repository


@dataclass(frozen=True)
class Request:
    """What is to be made."""

    repository: str  # as it is to be called on the hub
    swarm: str
    exam: Exam | None  # None: it is not evaluated
    with_state: bool
    with_gguf: bool
    history: Path  # folder of the history files


Say = Callable[[str], object]


def build(found: Found, request: Request, out: Path, say: Say = log.info) -> Facts:
    """Make the folder `out` anew. Raises SwarmError, OSError; FileNotFoundError if the checkpoint is gone already."""
    beside, held = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.held")
    with only_one(out.with_name(f".{out.name}.lock")):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            facts = _fill(found, request, hold(found, held), beside, say)
            shutil.rmtree(out, ignore_errors=True)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(held, ignore_errors=True)
    return facts


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Wait for whoever makes the same folder: a publisher that was killed may have left its program at work."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
        no_gguf=() if request.with_gguf else ("none was asked for",),
    )
    if request.with_gguf:
        facts = _for_llama(facts, folder, say)
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
    standing, model = facts.standing, facts.origin.model
    named = model if model == BUILT_IN else facts.base or short(model)
    return Publication(
        peer=facts.peer,
        name=name_of(facts.peer),
        swarm=facts.swarm,
        chain_id=standing.chain_id,
        contract=standing.contract,
        model=named,
        round=standing.round,
        step=standing.step,
        sha256=standing.sha256,
        mix=facts.origin.data["name"],
        score=facts.evaluation.score if facts.evaluation else None,
        lineage=standing.lineage,
        parents=facts.merged,
        origin=facts.origin.model_copy(update={"model": named, "source": ""}),
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


def _for_llama(facts: Facts, folder: Path, say: Say) -> Facts:
    """GGUF files, as far as they are near enough to the model, and Ollama's description of them."""
    say("making files for llama.cpp, and comparing them with the model")
    files, reasons = export(folder, short(facts.origin.model), facts.origin.system_prompt)
    if files:
        text = modelfile(files, facts.origin.system_prompt, ollama_template(folder))
        (folder / MODELFILE).write_text(text)
    return replace(facts, gguf=tuple(files), no_gguf=tuple(reasons))


def _plotted(facts: Facts, history: Path, folder: Path) -> Facts:
    """Curves of this peer alone: rewards, loss, completion length by round."""
    own = folder / ".history"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    for path in history.glob(f"{facts.peer}.*"):
        shutil.copyfile(path, own / path.name)
    command = [sys.executable, "-m", "services.trainer.tracking.curves", str(own), str(folder / CURVES)]
    done = subprocess.run(command, env=_with_plots(), capture_output=True, text=True, check=False)
    shutil.rmtree(own, ignore_errors=True)
    if done.returncode == 0:
        return replace(facts, plot=CURVES)
    said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
    return replace(facts, not_plotted=f"There are no curves here: {said}")


def _with_plots() -> dict[str, str]:
    """Images keep matplotlib apart from what every service would load (RLSWARM_PLOTS)."""
    if not (apart := os.environ.get("RLSWARM_PLOTS")):
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [apart, os.environ.get("PYTHONPATH")]))}


def _link(source: str, target: str) -> None:
    """A large file need not be there twice."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
