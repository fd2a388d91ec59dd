"""The Python that an engine runs in: this one, or a venv of its own that is made at the first run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "bench-trainer"
# The versions that GenRL 0.3.0 was made with, and our own torch and reasoning-gym.
GENRL = ("torch==2.13.0", "gensyn-genrl==0.3.0", "transformers==4.51.3", "trl==0.18.2", "reasoning-gym==0.1.25")
DONE = "rlswarm-complete"  # a file in a venv that holds all of it


class Missing(Exception):
    """An engine that cannot be had here, and why."""


def python_of(engine: str) -> Path:
    """The interpreter for `ours`, `trl` or `genrl`. Raises Missing."""
    if engine == "genrl":
        return _venv(CACHE / "genrl", GENRL)
    if engine == "trl" and importlib.util.find_spec("trl") is None:
        raise Missing("TRL is not installed here (make setup)")
    return Path(sys.executable)


def _venv(folder: Path, packages: tuple[str, ...]) -> Path:
    python = folder / "bin" / "python"
    if (folder / DONE).exists():
        return python
    print(f"Making {folder} for GenRL; this can take minutes", file=sys.stderr)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    wheelhouse = ROOT / "wheelhouse"
    torch = [str(wheel) for wheel in wheelhouse.glob("torch-2.13.0*")] or packages[:1]
    _do([sys.executable, "-m", "venv", str(folder)])
    _do([*pip, "--no-deps", *torch])  # first and alone: the same build of torch as ours
    _do([*pip, "--find-links", str(wheelhouse), str(ROOT / "vendor" / "pycosat"), *packages])
    (folder / DONE).touch()
    return python


def _do(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    if done.returncode:
        raise Missing(f"not to be installed here: {(done.stderr or done.stdout).strip().splitlines()[-1]}")
