"""What was asked of a passkey or a wallet: good once, for a while, for one purpose, from one browser."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import delete, func, insert, select

from services.identity.accounts.db import Database
from services.identity.accounts.tables import CHALLENGES

LIFE_S = 300.0
MAX_OPEN = 500  # anybody may ask; at the bound, the oldest goes


class Challenges:
    """The open ones."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def put(self, id_: str, purpose: str, browser: str, text: str) -> None:
        """Remember one."""
        now = self._clock()
        row = {"id": id_, "purpose": purpose, "browser": browser, "text": text, "expires": now + LIFE_S}
        with self._database.begin() as connection:
            connection.execute(delete(CHALLENGES).where(CHALLENGES.c.expires < now))
            if (connection.scalar(select(func.count()).select_from(CHALLENGES)) or 0) >= MAX_OPEN:
                oldest = select(CHALLENGES.c.id).order_by(CHALLENGES.c.expires).limit(1)
                connection.execute(delete(CHALLENGES).where(CHALLENGES.c.id.in_(oldest)))
            connection.execute(insert(CHALLENGES).values(row))

    def take(self, id_: str, purpose: str, browser: str) -> str | None:
        """Its text; None if there is none, it is too old, or it was for something or somebody else. Gone either way."""
        with self._database.begin() as connection:
            row = connection.execute(select(CHALLENGES).where(CHALLENGES.c.id == id_)).one_or_none()
            connection.execute(delete(CHALLENGES).where(CHALLENGES.c.id == id_))
        if row is None or row.expires < self._clock() or (row.purpose, row.browser) != (purpose, browser):
            return None
        return str(row.text)
