"""`rlswarm logs`: the end of a run's log files, and what comes after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from services.local.folder import RunFolder
from services.local.tails import tail
from shared.errors import SwarmError

LOOK_EVERY_S = 0.3


def log_files(folder: RunFolder, service: str | None) -> list[Path]:
    """The file of a service, or those of all; raises SwarmError if there is none."""
    if service is None:
        found = sorted(folder.logs.glob("*.log"))
    else:
        found = sorted({*folder.logs.glob(f"{service}.log"), *folder.logs.glob(f"{service}-[0-9]*.log")})
    if not found:
        known = ", ".join(sorted(path.stem for path in folder.logs.glob("*.log"))) or "none"
        raise SwarmError(f"{folder.root.name} has no log of {service or 'anything'}", f"there are: {known}")
    return found


def run_logs(files: list[Path], lines: int, *, follow: bool, say: Callable[[str], None] = print) -> None:
    """Print the last lines of each file, then, if asked to, all that is added until Ctrl-C."""
    label = len(files) > 1
    ends = {path: _size(path) for path in files}
    for path in files:
        for line in tail(path, lines):
            say(_labelled(path, line, label=label))
    while follow:
        time.sleep(LOOK_EVERY_S)
        for path in files:
            added, ends[path] = _added(path, ends[path])
            for line in added:
                say(_labelled(path, line, label=label))


def _added(path: Path, end: int) -> tuple[list[str], int]:
    """Whole lines behind `end`, and the new end; a file that got shorter was rotated and is read from its start."""
    start = end if _size(path) >= end else 0
    try:
        with path.open("rb") as file:
            file.seek(start)
            whole, _, _ = file.read().rpartition(b"\n")
    except FileNotFoundError:
        return [], 0
    return (whole.decode(errors="replace").split("\n"), start + len(whole) + 1) if whole else ([], start)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _labelled(path: Path, line: str, *, label: bool) -> str:
    return f"{path.stem:<12}| {line}" if label else line
