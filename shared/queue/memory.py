"""Queue and store in one process, for tests; the same contract tests run on it and on Redis."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.errors import QueueFullError
from shared.queue.protocol import MAX_ATTEMPTS, Dead, Delivery, Entry, Footprint
from shared.streams import Stream

T = TypeVar("T")
TICK_S = 0.005


@dataclass
class _Held:
    consumer: str
    ready_at: float  # when another consumer may claim it
    attempts: int


@dataclass
class _Log:
    entries: dict[str, str] = field(default_factory=dict)  # id -> JSON text, in order
    held: dict[str, _Held] = field(default_factory=dict)
    dead: list[Dead] = field(default_factory=list)
    count: int = 0


class MemoryQueue:
    """`Queue` without Redis; `restart(consumer)` stands for a consumer that died and came back."""

    def __init__(self, *, claim_s: float = 30.0) -> None:
        self._claim_s = claim_s
        self._logs: dict[str, _Log] = {}

    def _log(self, stream: Stream[Any]) -> _Log:
        return self._logs.setdefault(stream.name, _Log())

    async def publish(self, stream: Stream[T], message: T) -> None:
        """See `Queue.publish`."""
        self.write(stream, stream.encode(message))

    def write(self, stream: Stream[Any], text: str) -> None:
        """Append raw text, as a stranger with access to the queue could."""
        log = self._log(stream)
        if stream.kind == "work" and len(log.entries) >= stream.bound:
            raise QueueFullError(
                f"the queue {stream.name} holds {stream.bound} entries", f"start its reader, {stream.readers[0]}"
            )
        log.count += 1
        log.entries[f"{log.count:020d}"] = text
        while stream.kind == "broadcast" and len(log.entries) > stream.bound:
            del log.entries[next(iter(log.entries))]

    def restart(self, consumer: str) -> None:
        """Make what the consumer holds available to it again at once."""
        for log in self._logs.values():
            for held in log.held.values():
                if held.consumer == consumer:
                    held.ready_at = 0.0

    async def receive(
        self, stream: Stream[T], consumer: str, *, limit: int = 16, wait_s: float = 1.0
    ) -> list[Delivery[T]]:
        """See `Queue.receive`."""
        until = time.monotonic() + wait_s
        while not (found := self._take(stream, consumer, limit)) and time.monotonic() < until:  # noqa: ASYNC110 - polling keeps the double free of wake-up logic
            await asyncio.sleep(TICK_S)
        return found

    def _take(self, stream: Stream[T], consumer: str, limit: int) -> list[Delivery[T]]:
        log, now, good = self._log(stream), time.monotonic(), list[Delivery[T]]()
        for id_, text in list(log.entries.items()):
            held = log.held.get(id_)
            if len(good) == limit or (held is not None and held.ready_at > now):
                continue
            attempts = held.attempts + 1 if held else 1
            log.held[id_] = _Held(consumer, now + self._claim_s, attempts)
            if attempts > MAX_ATTEMPTS:
                self._bury(stream, id_, f"delivered {attempts - 1} times and never acked")
                continue
            try:
                good.append(Delivery(id_, stream.decode(text), attempts))
            except ValidationError as error:
                self._bury(stream, id_, f"undecodable: {error.errors()[0]['msg']}")
        return good

    def _bury(self, stream: Stream[Any], id_: str, error: str) -> None:
        log = self._log(stream)
        log.dead.append(Dead(log.entries.pop(id_), error))
        log.held.pop(id_, None)

    async def ack(self, stream: Stream[T], delivery: Delivery[T]) -> None:
        """See `Queue.ack`."""
        self._log(stream).entries.pop(delivery.id, None)
        self._log(stream).held.pop(delivery.id, None)

    async def fail(self, stream: Stream[T], delivery: Delivery[T], error: str, *, retry_s: float = 1.0) -> None:
        """See `Queue.fail`."""
        if delivery.attempts >= MAX_ATTEMPTS:
            self._bury(stream, delivery.id, error)
        else:
            self._log(stream).held[delivery.id] = _Held("failed", time.monotonic() + retry_s, delivery.attempts)

    async def read(
        self, stream: Stream[T], after: str = "0", *, limit: int = 1_000, wait_s: float = 0.0
    ) -> list[Entry[T]]:
        """See `Queue.read`."""
        until = time.monotonic() + wait_s
        while not (found := self._after(stream, after)) and time.monotonic() < until:  # noqa: ASYNC110 - polling keeps the double free of wake-up logic
            await asyncio.sleep(TICK_S)
        return found[:limit]

    def _after(self, stream: Stream[T], cursor: str) -> list[Entry[T]]:
        good: list[Entry[T]] = []
        for id_, text in self._log(stream).entries.items():
            if id_ > cursor.zfill(20):
                try:
                    good.append(Entry(id_, stream.decode(text)))
                except ValidationError:
                    continue
        return good

    async def last(self, stream: Stream[T]) -> Entry[T] | None:
        """See `Queue.last`."""
        found = self._after(stream, "0")
        return found[-1] if found else None

    async def backlog(self, stream: Stream[T]) -> int:
        """See `Queue.backlog`."""
        return len(self._log(stream).entries)

    async def dead(self, stream: Stream[T]) -> list[Dead]:
        """See `Queue.dead`."""
        return list(self._log(stream).dead)

    async def dead_count(self, stream: Stream[T]) -> int:
        """See `Queue.dead_count`."""
        return len(self._log(stream).dead)

    async def footprint(self) -> Footprint:
        """See `Queue.footprint`."""
        logs = self._logs.values()
        texts = [text for log in logs for text in [*log.entries.values(), *(dead.text for dead in log.dead)]]
        return Footprint(sum(len(text.encode()) for text in texts), None)

    async def close(self) -> None:
        """See `Queue.close`."""


class MemoryStore:
    """`Store` without Redis."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, float]] = {}  # value, expiry
        self.lives = 1  # one more: it was restarted

    async def get(self, key: str) -> str | None:
        """See `Store.get`."""
        value, expiry = self._values.get(key, ("", 0.0))
        return value if expiry > time.monotonic() else None

    async def put(self, key: str, value: str, *, ttl_s: float | None = None) -> None:
        """See `Store.put`."""
        self._values[key] = (value, float("inf") if ttl_s is None else time.monotonic() + ttl_s)

    async def take(self, key: str) -> str | None:
        """See `Store.take`."""
        value = await self.get(key)
        self._values.pop(key, None)
        return value

    async def keys(self, prefix: str) -> list[str]:
        """See `Store.keys`."""
        now = time.monotonic()
        return sorted(key for key, (_, expiry) in self._values.items() if key.startswith(prefix) and expiry > now)

    async def hold(self, key: str, holder: str, *, ttl_s: float) -> bool:
        """See `Store.hold`."""
        if await self.get(key) not in (None, holder):
            return False
        await self.put(key, holder, ttl_s=ttl_s)
        return True

    async def release(self, key: str, holder: str) -> None:
        """See `Store.release`."""
        if await self.get(key) == holder:
            del self._values[key]

    async def life(self) -> str:
        """See `Store.life`."""
        return str(self.lives)
