"""Errors that travel to the user as one line: what happened, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class SwarmError(Exception):
    """An expected failure. `cause` and `remedy` are each one sentence without a final full stop."""

    exit_code: ClassVar[int] = 1  # of a process that ends by it

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}. {remedy}.")
        self.cause = cause
        self.remedy = remedy


class SettingsError(SwarmError):
    """A setting is unknown, missing or of the wrong type; a restart cannot help."""

    exit_code = 2


class QueueFullError(SwarmError):
    """A work stream is at its bound: its reader is dead or too slow, and nothing may be dropped."""
