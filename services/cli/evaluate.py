"""`rlswarm eval`: finds what is meant by a model, and lets the trainer's own code answer and mark."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from services.local.folder import RunFolder
from shared.checkpoints import STEPS, TENSORS
from shared.errors import SwarmError


def run_eval(runs: Path, before: str | None, after: str | None, options: Sequence[str]) -> int:
    """The command's body; its exit code. Raises SwarmError."""
    found = located(runs, after) if after else ("", "")
    arguments = [*options, *(["--after", found[0]] if after else [])]
    if before is not None:
        other = located(runs, before)
        arguments += ["--before", other[0]]
        found = found if found[1] else other
    if found[1] and not any(option.startswith("--base=") for option in options):
        arguments += ["--base", found[1]]
    return subprocess.run([sys.executable, "-m", "services.trainer.evaluation", *arguments], check=False).returncode


def located(runs: Path, model: str) -> tuple[str, str]:
    """What the trainer is to load, and the model that it was trained from ("": it is one itself).

    A run's name stands for the newest checkpoint of its first peer; RUN/PEER, for that of another. Raises SwarmError.
    """
    name, _, peer = model.partition("/")
    plan = (runs / name / "plan.json").exists()
    if not plan or (peer and not (runs / name / "state" / "checkpoints" / peer).exists()):
        return model, ""
    folder = RunFolder(runs / name)
    steps = sorted(folder.state.glob(f"checkpoints/{peer or '*'}/*/{STEPS}/{TENSORS}"))
    if not steps:
        raise SwarmError(f"the run {name} has no checkpoint yet", "let it train for a round")
    first = [step for step in steps if step.parents[2] == steps[0].parents[2]]
    newest = max(first, key=lambda step: step.parent.name).parent
    written = folder.read_plan()
    return str(newest), (written.model if written else None) or "embedded"
