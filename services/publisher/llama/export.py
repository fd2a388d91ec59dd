"""All GGUF files of a repository's folder: written, quantized, loaded again, compared, and only then put there.

folder --transformers--> answers, logits ------------------------+
  |                                                              v
  +--write--> F16 --llama.cpp (a process)--> Q5_K_M, ... --> probe (a process) --> near enough? --> folder
                                                                                    | no: the reason
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from services.publisher.facts import GgufFile
from services.publisher.llama.reference import Logits, Reference, references
from services.publisher.llama.tolerance import KINDS, Comparison, share
from shared.errors import SwarmError

log = logging.getLogger(__name__)

MISSING = (
    "llama-cpp-python, which loads and compares them, is not installed: pip install 'rlswarm[gguf]'; in containers "
    "EXTRAS=gguf and a build"
)
LIMIT_S = 3600.0


def export(folder: Path, name: str, system_prompt: str) -> tuple[list[GgufFile], list[str]]:
    """Put the files beside the model; what was published of them, and why what is missing is. Raises OSError."""
    if find_spec("llama_cpp") is None:
        return [], [MISSING]
    with TemporaryDirectory(dir=folder.parent, prefix=".gguf-") as place:
        full = Path(place) / f"{name}-F16.gguf"
        try:
            _write(folder, full, name)
        except SwarmError as error:
            return [], [error.cause]
        return _all(folder, name, full, references(folder, system_prompt))


def _write(folder: Path, full: Path, name: str) -> None:
    from services.publisher.llama.write import write_f16  # noqa: PLC0415 - gguf comes with llama-cpp-python

    write_f16(folder, full, name)


def _all(folder: Path, name: str, full: Path, asked: Sequence[Reference]) -> tuple[list[GgufFile], list[str]]:
    files, reasons = list[GgufFile](), list[str]()
    for kind in KINDS:
        path = full.with_name(f"{name}-{kind}.gguf")
        try:
            if kind != "F16":
                run("quantize", full, path, kind)
            found = compare(path, asked)
        except SwarmError as error:
            reasons.append(f"{kind}: {error.cause}")
            continue
        if fault := found.fault(kind):
            reasons.append(f"{kind}: {fault}")
            continue
        size = path.stat().st_size
        files.append(
            GgufFile(path.name, kind, size, found.agreement, found.divergence, found.largest, found.splits_alike)
        )
        log.info("%s: %s", path.name, found)
    for one in files:
        (full.parent / one.name).replace(folder / one.name)
    return files, reasons


def compare(file: Path, asked: Sequence[Reference]) -> Comparison:
    """Load a file in llama.cpp and see how near it is. Raises SwarmError if it cannot be loaded."""
    told = [{"text": one.text, "prompt": one.prompt, "answer": one.answer} for one in asked]
    question, out = file.with_suffix(".json"), file.with_suffix(".npz")
    question.write_text(json.dumps(told))
    run("probe", file, question, out)
    with np.load(out) as found:
        return comparison(asked, found)


def comparison(asked: Sequence[Reference], found: Mapping[str, Any]) -> Comparison:
    """The model's answers and llama.cpp's, token by token."""
    same, divergences, largest = list[bool](), list[float](), 0.0
    for number, one in enumerate(asked):
        other: Logits = found[f"logits_{number}"]
        same += [bool(a == b) for a, b in zip(one.logits.argmax(1), other.argmax(1), strict=True)]
        divergences += [float(value) for value in divergence(one.logits, other)]
        largest = max(largest, float(np.abs(one.logits - other).max()))
    return Comparison(
        tokens=len(same),
        agreement=share(same),
        divergence=float(np.mean(divergences)),
        largest=largest,
        same_answers=sum(one.answer == list(found[f"greedy_{number}"]) for number, one in enumerate(asked)),
        answers=len(asked),
        same_prompts=sum(one.prompt == list(found[f"split_{number}"]) for number, one in enumerate(asked)),
    )


def divergence(ours: Logits, theirs: Logits) -> Any:
    """Kullback-Leibler divergence of each row's distribution from the other one, nats."""
    p, q = _log_softmax(ours), _log_softmax(theirs)
    return (np.exp(p) * (p - q)).sum(1)


def _log_softmax(logits: Logits) -> Any:
    high = logits.astype(np.float64) - logits.max(1, keepdims=True)
    return high - np.log(np.exp(high).sum(1, keepdims=True))


def run(program: str, *arguments: object) -> None:
    """A step of llama.cpp in a process of its own. Raises SwarmError: it failed, or was ended by a signal."""
    command = [sys.executable, "-m", f"services.publisher.llama.{program}", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as late:
        raise SwarmError(f"llama.cpp was not through after {LIMIT_S:.0f} s", "see the size of the model") from late
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1].rstrip(".")
        raise SwarmError(f"llama.cpp ({program}) ended with {done.returncode} and said: {said}", "see its version")
