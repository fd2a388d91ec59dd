"""Who may become the owner where strangers reach the page, too: whoever can read a file of this machine."""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from pathlib import Path

log = logging.getLogger(__name__)


class Claim:
    """The one-time code of the first sign-up."""

    def __init__(self, path: Path, *, needed: bool) -> None:
        self.path, self.needed = path, needed

    def prepare(self, owner: str | None) -> None:
        """Write a code if one is needed and there is nobody yet, and say where it lies; else there is none."""
        if owner is not None or not self.needed:
            self.used()
            return
        if not self._code():
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write("-".join(secrets.token_hex(2) for _ in range(6)) + "\n")
        log.warning("others can reach this page: whoever signs up first needs the code in %s", self.path)

    def fits(self, code: str) -> bool:
        """Whether it is the code; True if none is needed."""
        kept = self._code()
        return not self.needed or (bool(kept) and hmac.compare_digest(kept.encode(), code.strip().lower().encode()))

    def used(self) -> None:
        """There is an owner now."""
        self.path.unlink(missing_ok=True)

    def _code(self) -> str:
        return self.path.read_text().strip() if self.path.exists() else ""
