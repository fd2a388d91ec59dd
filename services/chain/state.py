"""Keeps the state file of anvil fit to start from.

    state file --prepare_state--> whole state file --> anvil --dumps every second--> state file --keep_copy--> copy

anvil empties its state file before it writes it again, so a kill during a dump leaves a torn file, and anvil refuses to
start from one. The copy is what a start falls back to; it is as old as the last `keep_copy`.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Literal

from shared.errors import SwarmError

StateOrigin = Literal["new", "kept", "restored"]


class AnvilStateError(SwarmError):
    """The folder of anvil's state file cannot be written; anvil itself would run on and lose everything silently."""


def prepare_state(state: Path) -> StateOrigin:
    """Make `state` fit to start from; call it before each start, while no anvil runs on it.

    Returns "kept" for a whole file, "restored" if it was torn or gone and the copy took its place, "new" if there was
    neither: then the chain begins afresh, and a torn file lies beside it with the ending `.torn`.
    Raises AnvilStateError when the folder cannot be written.
    """
    try:
        state.parent.mkdir(parents=True, exist_ok=True)
        if keep_copy(state):
            return "kept"
        copy = _copy_of(state)
        if _read_whole(copy) is not None:
            _write(state, copy.read_bytes())
            return "restored"
        if state.exists():
            state.replace(state.with_name(state.name + ".torn"))
        tempfile.TemporaryFile(dir=state.parent).close()
    except OSError as error:
        raise AnvilStateError(
            f"The chain's state cannot be kept in {state.parent} ({error.strerror})", "Make that folder writable"
        ) from error
    return "new"


def keep_copy(state: Path) -> bool:
    """Copy the state file if it is whole right now, and say whether it was; anvil may be writing it meanwhile."""
    content = _read_whole(state)
    if content is not None:
        _write(_copy_of(state), content)
    return content is not None


def _copy_of(state: Path) -> Path:
    return state.with_name(state.name + ".copy")


def _read_whole(state: Path) -> bytes | None:
    """Return the bytes of one complete dump, or None: missing, torn, or written while it was read."""
    try:
        before, content, after = state.stat(), state.read_bytes(), state.stat()
        known = json.loads(content)
    except (FileNotFoundError, ValueError):
        return None
    unchanged = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    return content if unchanged and isinstance(known, dict) and "blocks" in known else None


def _write(target: Path, content: bytes) -> None:
    """Replace `target` in one step: a reader, or a kill, sees the old content or the new."""
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
