"""Sessions: a browser keeps 256 random bits, we keep their sha256."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from services.identity.accounts.db import Database
from services.identity.accounts.tables import OWNER, SESSIONS

MAX_SESSIONS = 20  # of the owner; one more ends the one that was used longest ago
TOUCH_S = 60.0  # between two notes of a session's use
RECENT_S = 15 * 60.0  # after a login, what changes the ways to log in needs no other


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in."""

    name: str  # the owner's
    csrf: str = field(repr=False)  # what a form of ours sends along
    id: str = field(repr=False)  # sha256 of the token
    created: float  # the login, unix seconds
    seen: float
    agent: str

    def is_recent(self, now: float) -> bool:
        """Whether the login was a moment ago."""
        return now - self.created < RECENT_S

    def allows(self, csrf: str) -> bool:
        """Whether a form's token is this session's, compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Sessions:
    """Those of the owner."""

    def __init__(
        self, database: Database, idle_s: float, longest_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._database, self._idle_s, self._longest_s, self._clock = database, idle_s, longest_s, clock

    def begin(self, agent: str, former: str | None = None) -> str:
        """A new token, never one that the browser brought; its former session ends."""
        token, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "token_hash": digest(token),
            "owner_id": 1,
            "csrf": secrets.token_urlsafe(32),
            "created": now,
            "seen": now,
            "expires": now + self._longest_s,
            "agent": "".join(letter for letter in agent if letter.isprintable())[:120],
        }
        kept = select(SESSIONS.c.token_hash).order_by(SESSIONS.c.seen.desc()).limit(MAX_SESSIONS - 1)
        with self._database.begin() as connection:
            if former:
                connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == digest(former)))
            gone = (SESSIONS.c.expires < now) | (SESSIONS.c.seen < now - self._idle_s)
            connection.execute(delete(SESSIONS).where(gone))
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash.not_in(kept)))
            connection.execute(insert(SESSIONS).values(row))
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token, if it is still on; using it keeps it on."""
        now = self._clock()
        with self._database.begin() as connection:
            query = _query().where(SESSIONS.c.token_hash == digest(token), *self._on(now))
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            if now - row.seen > TOUCH_S:
                touched = update(SESSIONS).where(SESSIONS.c.token_hash == row.token_hash).values(seen=now)
                connection.execute(touched)
        return Session(row.name, row.csrf, row.token_hash, row.created, row.seen, row.agent)

    def all(self) -> list[Session]:
        """Every session that is on, the latest used first."""
        with self._database.begin() as connection:
            rows = connection.execute(_query().where(*self._on(self._clock())).order_by(SESSIONS.c.seen.desc())).all()
        return [Session(row.name, row.csrf, row.token_hash, row.created, row.seen, row.agent) for row in rows]

    def end(self, id_: str) -> None:
        """Log one out."""
        with self._database.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash == id_))

    def end_all(self, but: str | None = None) -> None:
        """Log everybody out, or everybody else."""
        with self._database.begin() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.token_hash != (but or "")))

    def _on(self, now: float) -> tuple[Any, ...]:
        return (SESSIONS.c.expires >= now, SESSIONS.c.seen >= now - self._idle_s)


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _query() -> Select[Any]:
    columns = [SESSIONS.c[name] for name in ("token_hash", "csrf", "created", "seen", "agent")]
    return select(OWNER.c.name, *columns).join(OWNER, OWNER.c.id == SESSIONS.c.owner_id)
