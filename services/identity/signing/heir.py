"""The heir that the owner named on this machine: a file that nobody but identity reads, good for some minutes."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.identity.signing.owner import Heir

FILE = "heir.json"
GOOD_S = 600.0


class _Named(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    account: str
    leave: bool
    until: float  # unix seconds


def name_heir(folder: Path, heir: Heir, now: float) -> None:
    """Let identity sign what hands the swarm over to this account, for some minutes. Raises OSError."""
    text = _Named(account=heir.account, leave=heir.leave, until=now + GOOD_S).model_dump_json()
    partial = folder / f"{FILE}.{os.getpid()}.partial"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    partial.replace(folder / FILE)


def named_heir(folder: Path, now: float) -> Heir | None:
    """Who is named; None: nobody, or not any more."""
    try:
        named = _Named.model_validate_json((folder / FILE).read_text())
    except (FileNotFoundError, ValidationError):
        return None
    good = now < named.until <= now + GOOD_S
    return Heir(named.account, named.leave) if good else None


def forget_heir(folder: Path) -> None:
    """It is done, or will not be."""
    (folder / FILE).unlink(missing_ok=True)
