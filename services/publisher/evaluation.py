"""How good a model is on questions that no training asks: what the trainer's own program finds, read and typed.

    folder, base --> python -m services.trainer.evaluation (a process of its own) --> JSON --> Evaluation

The program samples and marks as the trainer does, so it is run and not written again. It is told the trainer's own
settings of the checkpoint, not those of the environment here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.checkpoints import Origin
from shared.errors import SwarmError

ALL = "all"  # every set together


class Estimate(BaseModel):
    """A figure with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float


class Line(BaseModel):
    """One set of questions, or all."""

    model_config = ConfigDict(frozen=True)

    questions: int
    pass_at_1: Estimate  # share of the questions whose one greedy answer is right
    mean_at_k: Estimate  # mean reward of k sampled answers


class Evaluation(BaseModel):
    """What one model got, beside what it began from."""

    model_config = ConfigDict(frozen=True)

    mix: str
    seed: int
    samples: int  # k
    before: dict[str, Line] = {}  # by set; empty: nothing was compared
    after: dict[str, Line]
    gain: dict[str, Estimate] = {}

    @property
    def score(self) -> float:
        """By which checkpoints are compared: mean@k of all questions."""
        return self.after[ALL].mean_at_k.value


@dataclass(frozen=True)
class Exam:
    """How much is asked."""

    questions: int  # of each set
    samples: int  # answers drawn for each
    seed: int = 42
    limit_s: float = 3600.0
    kept: Path | None = None  # folder for the marks of the model that training began from


def evaluate(model: str, before: str | None, origin: Origin, exam: Exam, out: Path) -> Evaluation:
    """Let a model answer, and the one it began from. Raises SwarmError: it failed, or took too long."""
    command = [sys.executable, "-m", "services.trainer.evaluation", f"--after={model}", f"--out={out}"]
    command += [f"--questions={exam.questions}", f"--samples={exam.samples}", f"--seed={exam.seed}"]
    command += [f"--mix={origin.data['name']}", *([f"--before={before}"] if before else [])]
    command += [f"--keep={exam.kept}"] if exam.kept else []
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **told(origin)},
            capture_output=True,
            text=True,
            check=False,
            timeout=exam.limit_s,
        )
    except subprocess.TimeoutExpired as late:
        remedy = "ask fewer questions: PUBLISH_QUESTIONS, PUBLISH_SAMPLES"
        raise SwarmError(f"the evaluation was not through after {exam.limit_s:.0f} s", remedy) from late
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1].rstrip(".")
        raise SwarmError(f"the evaluation ended with {done.returncode} and said: {said}", "see what it names")
    try:
        return evaluation_of(out.read_text())
    except (OSError, ValidationError, ValueError, KeyError, IndexError) as error:
        raise SwarmError(f"the evaluation left no result that can be read ({error})", "see the disk") from error


def evaluation_of(text: str) -> Evaluation:
    """What `rlswarm eval --out` wrote. Raises ValueError, KeyError or IndexError if it is something else."""
    found: dict[str, Any] = json.loads(text)
    *earlier, last = found["models"]
    before = earlier[0]["sets"] if earlier else {}
    told = {key: found[key] for key in ("mix", "seed", "samples", "gain")}
    return Evaluation.model_validate({**told, "before": before, "after": last["sets"]})


def told(origin: Origin) -> Mapping[str, str]:
    """The environment in which the trainer's program samples and marks as the trainer of a checkpoint did."""
    names = {"MAX_NEW_TOKENS": "max_new_tokens", "TEMPERATURE": "temperature", "TOP_K": "top_k", "TOP_P": "top_p"}
    game = {variable: str(origin.game[name]) for variable, name in names.items() if origin.game.get(name) is not None}
    files = [task for task in origin.data["datasets"] if task.get("file")]
    file = {"DATA_FILE": files[0]["file"], "DATA_SCORER": files[0]["scorer"]} if files else {}
    return {"MODEL_NAME": origin.model, **game, **file}
