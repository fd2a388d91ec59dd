"""The household's account on the chain: a private key in a file that only its owner can read."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from shared.errors import SwarmError

KEY = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)


def load_key(path: Path) -> str:
    """The private key (0x...), made on the first call. Raises SwarmError when the file is no key; never shows it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        return _make(path)
    if not KEY.fullmatch(key):
        raise SwarmError(
            f"{path} holds no account key (0x and 64 hexadecimal digits)", "restore it from a backup, or move it away"
        )
    return key


def _make(path: Path) -> str:
    """Written whole beside its place, then linked there: a kill leaves no half key, and an existing one stays."""
    key = "0x" + secrets.token_hex(32)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    return key
