"""Sessions: a question asked of somebody, open until it is answered once or its time is over.

They lie in the store, so a judge that restarts still takes the answers to what it asked before.
"""

from __future__ import annotations

import secrets
from collections import deque

from pydantic import BaseModel, ConfigDict

from services.judge.metrics import OPEN_SESSIONS
from shared.messages import RoundNumber
from shared.queue import Store

SESSION = "judge:session:"


class Session(BaseModel):
    """Who was asked, and in which round."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    model_name: str
    round_number: RoundNumber


class Sessions:
    """Opens sessions and closes each at most once."""

    def __init__(self, store: Store, bank: str, *, ttl_s: float, bound: int) -> None:
        self._store, self._ttl_s, self._bound = store, ttl_s, bound
        self._prefix = f"{SESSION}{bank}:"  # an answer to another bank's question must not be scored by this one
        self._ends: deque[float] = deque()  # when the sessions opened by this process expire, oldest first

    def full(self, now: float) -> bool:
        """No session may be opened now. Answered ones count until they would have expired: an upper bound."""
        while self._ends and self._ends[0] <= now:
            self._ends.popleft()
        OPEN_SESSIONS.set(len(self._ends))
        return len(self._ends) >= self._bound

    async def open(self, session: Session, now: float) -> str:
        """Keep a session; its id cannot be guessed."""
        session_id = secrets.token_urlsafe(24)
        await self._store.put(self._prefix + session_id, session.model_dump_json(), ttl_s=self._ttl_s)
        self._ends.append(now + self._ttl_s)
        return session_id

    async def close(self, session_id: str, round_number: int) -> Session | None:
        """The session, to the first caller who names its round; None if there is none (any more).

        A caller with the wrong round does not use the session up.
        """
        text = await self._store.get(self._prefix + session_id)
        if text is None or Session.model_validate_json(text).round_number != round_number:
            return None
        taken = await self._store.take(self._prefix + session_id)
        return Session.model_validate_json(taken) if taken else None
