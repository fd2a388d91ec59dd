"""The desk: who was asked what. In memory, and each change in the store before anybody is told of it.

A judge that restarts still takes the answers to what it asked, and knows what was answered.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence

from pydantic import ValidationError

from services.judge.metrics import OPEN_SESSIONS, PEERS
from services.judge.records import Open, Record, Result
from shared.queue import Store

RECORD = "judge:record:"
MAX_PEERS = 2_000  # whose records are kept; the one that was silent for longest goes
KEPT_S = 30 * 86_400.0  # a record in the store


class Full(Exception):
    """No more questions may be open."""


class Desk:
    """The records of one bank's peers. `now` is unix time."""

    def __init__(self, store: Store, bank: str, *, ttl_s: float, bound: int) -> None:
        self._store, self._ttl_s, self._bound = store, ttl_s, bound
        self._prefix = f"{RECORD}{bank}:"  # an answer to another bank's question must not be scored by this one
        self._records: OrderedDict[str, Record] = OrderedDict()  # by peer, the most silent first
        self._open: OrderedDict[str, tuple[str, Open]] = OrderedDict()  # by session: peer and question, oldest first

    @property
    def records(self) -> Sequence[Record]:
        """All of them."""
        return list(self._records.values())

    async def load(self) -> None:
        """Know what the judge knew before it was restarted. A record that cannot be read is none."""
        found = [await self._store.get(key) for key in (await self._store.keys(self._prefix))[:MAX_PEERS]]
        for text in filter(None, found):
            try:
                record = Record.model_validate_json(text)
            except ValidationError:
                continue
            self._records[record.user_id] = record
        opened = [(record.user_id, one) for record in self.records for one in record.open]
        self._open.update((one.session_id, (id_, one)) for id_, one in sorted(opened, key=lambda o: o[1].expires_at))

    def record(self, user_id: str) -> Record:
        """What is known of a peer."""
        return self._records.get(user_id) or Record(user_id=user_id)

    async def open(
        self,
        user_id: str,
        model_name: str,
        round_number: int,
        now: float,
        number: int | None,
        question: str = "",
        remote: str = "",
    ) -> Open:
        """Open a question to a peer, under a name that cannot be guessed. Raises Full."""
        self._expire(now)
        if len(self._open) >= self._bound:
            raise Full
        before = self.record(user_id)
        opened = Open(
            session_id=secrets.token_urlsafe(24),
            round_number=round_number,
            number=number,
            expires_at=now + self._ttl_s,
            question=question,
            remote=remote,
        )
        record = before.asked(opened, model_name)
        await self._make_room(user_id)
        for dropped in {one.session_id for one in before.open} - {one.session_id for one in record.open}:
            self._open.pop(dropped, None)
        self._open[opened.session_id] = (user_id, opened)
        await self._put(record)
        return opened

    def take(self, session_id: str, round_number: int, now: float) -> tuple[str, Open] | None:
        """The peer and its question, to the first caller who names its round; None if there is none (any more).

        A caller with the wrong round does not use the session up.
        """
        self._expire(now)
        found = self._open.get(session_id)
        if found is None or found[1].round_number != round_number:
            return None
        return self._open.pop(session_id)

    def give_back(self, user_id: str, taken: Open) -> None:
        """It could not be scored: it is open as before."""
        self._open[taken.session_id] = (user_id, taken)
        self._open.move_to_end(taken.session_id, last=False)

    async def close(self, user_id: str, taken: Open, result: Result | None) -> None:
        """Keep what became of a question; None: nothing, it is just gone."""
        before = self.record(user_id)
        await self._put(before.gone(taken) if result is None else before.answered(taken, result))

    def _expire(self, now: float) -> None:
        while self._open and next(iter(self._open.values()))[1].expires_at <= now:
            self._open.popitem(last=False)
        OPEN_SESSIONS.set(len(self._open))

    async def _make_room(self, user_id: str) -> None:
        """A peer that waits for nothing goes for one that is new. Raises Full."""
        if user_id in self._records or len(self._records) < MAX_PEERS:
            return
        waiting = {id_ for id_, _ in self._open.values()}
        silent = next((id_ for id_ in self._records if id_ not in waiting), None)
        if silent is None:
            raise Full
        del self._records[silent]
        await self._store.take(self._prefix + silent)

    async def _put(self, record: Record) -> None:
        self._records[record.user_id] = record
        self._records.move_to_end(record.user_id)
        PEERS.set(len(self._records))
        await self._store.put(self._prefix + record.user_id, record.model_dump_json(), ttl_s=KEPT_S)
