"""`rlswarm publish`: lets the publisher's own program make a repository of a run's checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from services.local.folder import RunFolder
from services.local.programs import environment


def run_publish(folder: RunFolder, peer: str | None, out: Path | None, *, dry_run: bool) -> int:
    """The command's body; its exit code. The run may be up or not."""
    if dry_run:
        return _run(folder, command(folder, peer, out))
    made = subprocess.run(command(folder, peer, out), env=told(folder), stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        return made.returncode
    return _run(folder, [sys.executable, "-m", "services.publisher.upload", made.stdout.strip()])


def run_export(folder: RunFolder, peer: str | None, out: Path | None) -> int:
    """Only the files for llama.cpp and Ollama; the exit code."""
    return _run(folder, [*command(folder, peer, out or folder.root / "gguf"), "--only-gguf"])


def run_merge(parents: Sequence[str], out: Path, method: str, weights: str, scale: float) -> int:
    """One model of several; the exit code, 3 if it is not better and so not there."""
    shares = [part for part in weights.split(",") if part]
    options = [f"--out={out.absolute()}", f"--method={method}", f"--scale={scale}"]
    options += ["--weights", *shares] if shares else []
    command = [sys.executable, "-m", "services.publisher.merge", *parents, *options]
    return subprocess.run(command, check=False).returncode


def command(folder: RunFolder, peer: str | None, out: Path | None) -> list[str]:
    """What makes the folder."""
    where = ["--out", str(out.absolute())] if out else ["--into", str(folder.published)]
    return [sys.executable, "-m", "services.publisher.build", *where, *(["--peer", peer] if peer else [])]


def _run(folder: RunFolder, arguments: list[str]) -> int:
    return subprocess.run(arguments, env=told(folder), check=False).returncode


def told(folder: RunFolder) -> dict[str, str]:
    """The environment of the run's own programs."""
    plan = folder.read_plan()
    return {**os.environ, **environment(plan, folder, os.environ)} if plan else dict(os.environ)
