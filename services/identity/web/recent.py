"""The owner, logged in a moment ago: a browser left open must not be enough to add another way in."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import Depends

from services.identity.accounts.owners import LoginError
from services.identity.accounts.sessions import Session
from services.identity.web.guard import Owner

AGAIN = "For this, log in again: your login was more than 15 minutes ago."


def check_recent(session: Session) -> None:
    """Raises LoginError when the login was too long ago."""
    if not session.is_recent(time.time()):
        raise LoginError(AGAIN, "recent", 403)


def _recent(session: Owner) -> Session:
    check_recent(session)
    return session


RecentOwner = Annotated[Session, Depends(_recent)]
