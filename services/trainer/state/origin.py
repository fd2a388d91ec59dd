"""Says beside the checkpoints what is trained, how and by what: `shared.checkpoints.Origin`."""

from __future__ import annotations

import logging
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from services.trainer.model.policy import Policy
from services.trainer.model.prompt import SYSTEM_PROMPT
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import flush
from shared.checkpoints import ORIGIN, Origin
from shared.host import meminfo

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "reasoning-gym")
CPUINFO = Path("/proc/cpuinfo")
SOFTWARE = Path(__file__).parents[3]  # this software's own folder


def origin_of(settings: TrainerSettings, policy: Policy) -> Origin:
    """What this trainer trains."""
    return Origin(
        model=policy.name,
        source=str(policy.source.absolute()),
        parameters=policy.size,
        system_prompt=SYSTEM_PROMPT,
        data=settings.data.model_dump(mode="json"),
        game=settings.game.model_dump(mode="json"),
        learner=settings.learner.model_dump(mode="json"),
        questions=settings.questions,
        seed=settings.seed,
        device=policy.device_name,
        machine={"processor": processor(), "cores": os.cpu_count(), "memory": meminfo().get("MemTotal")},
        versions={"Python": platform.python_version(), **versions()},
        commit=commit(),
    )


def write_origin(folder: Path, origin: Origin) -> None:
    """Put it beside the checkpoints, in one step. A full disk costs the model card some lines, not the run."""
    beside = folder / f"{ORIGIN}.new"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(origin.model_dump_json(indent=1) + "\n")
        flush(beside)
        beside.replace(folder / ORIGIN)
    except OSError as error:
        log.warning("%s cannot be written (%s): what is trained here cannot be published", folder / ORIGIN, error)


def processor() -> str:
    """What the processor is called; "" where the system does not tell."""
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def versions() -> dict[str, str]:
    """The packages that matter, by name."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of this software: what an image was built from (RLSWARM_REVISION), or the checkout's; "": unknown."""
    if (told := os.environ.get("RLSWARM_REVISION", "").strip()) not in ("", "unknown"):
        return told
    if not (SOFTWARE / ".git").exists():
        return ""
    command = ["git", "-C", str(SOFTWARE), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
