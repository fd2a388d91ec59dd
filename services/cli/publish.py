"""`rlswarm publish`: lets the publisher's own program make a repository of a run's checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from services.local.folder import RunFolder
from services.local.programs import environment
from shared.errors import SwarmError


def run_publish(folder: RunFolder, peer: str | None, out: Path | None, *, dry_run: bool) -> int:
    """The command's body; its exit code. The run may be up or not. Raises SwarmError."""
    if not dry_run:
        raise SwarmError("only a folder for a look can be made from here", "add --dry-run")
    return _run(folder, command(folder, peer, out))


def run_export(folder: RunFolder, peer: str | None, out: Path | None) -> int:
    """Only the files for llama.cpp and Ollama; the exit code."""
    return _run(folder, [*command(folder, peer, out or folder.root / "gguf"), "--only-gguf"])


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
