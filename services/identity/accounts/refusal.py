"""Why somebody is not let in, in words for the person."""

from __future__ import annotations

from shared.errors import SwarmError

WRONG = "Name or passphrase is wrong."
LAST_WAY = "This is the only way to log in that is left: add another one, or set a passphrase, before it goes."


class LoginError(Exception):
    """Not let in; says why in words for the person, and which field of the form is meant."""

    def __init__(self, text: str, field: str = "", status: int = 400, retry_s: int = 0) -> None:
        super().__init__(text)
        self.text, self.field, self.status, self.retry_s = text, field, status, retry_s


def owned() -> LoginError:
    """Somebody was first."""
    return LoginError("This household has an owner already.", status=409)


def sentence(error: SwarmError) -> str:
    """Cause and remedy, as a page says it."""
    return f"{error.cause[:1].upper()}{error.cause[1:]}: {error.remedy}."


def span(seconds: int) -> str:
    """A time to wait."""
    return f"{seconds} seconds" if seconds < 90 else f"{-(-seconds // 60)} minutes"
