"""Queue and store on Redis Streams and keys (Redis 6.2 or later).

A work stream has one consumer group, named after its reader. Entries are acked and deleted in one transaction, so the
stream's length is its backlog. An entry whose consumer died is claimed by the next one after `claim_s` idle seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, ResponseError, TimeoutError

from shared.errors import QueueFullError
from shared.queue.protocol import MAX_ATTEMPTS, Dead, Delivery, Entry, Footprint
from shared.streams import Stream

__all__ = ["RedisError", "RedisQueue", "RedisStore", "connect"]

T = TypeVar("T")
log = logging.getLogger(__name__)

MESSAGE = "m"  # the one field of an entry
DEAD_BOUND = 10_000
NO_GROUP = "NOGROUP"
GONE_S = 3_600.0  # a consumer without entries for so long is forgotten; if it lives, the next makes it known again
# About a minute in all: longer than a supervisor needs to restart a Redis that died.
RETRIES, RETRY_CAP_S, RETRY_BASE_S = 40, 2.0, 0.05
SILENCE_S = 10.0  # after which a connection is given up: no call waits nearly as long, but a cut network stays silent

HOLD = """
local now = redis.call('get', KEYS[1])
if now and now ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1
"""
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end"
FORGET = """
for _, consumer in ipairs(redis.call('xinfo', 'consumers', KEYS[1], ARGV[1])) do
  if consumer[4] == 0 and consumer[6] > tonumber(ARGV[2]) then
    redis.call('xgroup', 'delconsumer', KEYS[1], ARGV[1], consumer[2])
  end
end
"""
TAKE = "local v = redis.call('get', KEYS[1]); redis.call('del', KEYS[1]); return v"


def connect(url: str, password: str | None = None, *, retries: int = RETRIES) -> Redis:
    """A client that rides out a Redis restart; after about a minute of silence its calls raise ConnectionError.

    A password in the URL wins over the one given apart.
    """
    return Redis.from_url(
        url,
        password=password,
        decode_responses=True,
        socket_connect_timeout=5,
        socket_timeout=SILENCE_S,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=RETRY_CAP_S, base=RETRY_BASE_S), retries),
        retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError],
    )


class RedisQueue:
    """The real `Queue`."""

    def __init__(self, client: Redis, *, claim_s: float = 30.0) -> None:
        self._redis = client
        self._claim_ms = int(claim_s * 1000)
        self._met: set[tuple[str, str]] = set()  # (stream, consumer) whose leftovers have been handed out again

    async def publish(self, stream: Stream[T], message: T) -> None:
        """See `Queue.publish`."""
        fields: dict[Any, Any] = {MESSAGE: stream.encode(message)}
        if stream.kind == "broadcast":
            await self._redis.xadd(stream.name, fields, maxlen=stream.bound, approximate=True)
            return
        if await self._redis.xlen(stream.name) >= stream.bound:
            raise QueueFullError(
                f"the queue {stream.name} holds {stream.bound} entries", f"start its reader, {stream.readers[0]}"
            )
        await self._redis.xadd(stream.name, fields)

    async def receive(
        self, stream: Stream[T], consumer: str, *, limit: int = 16, wait_s: float = 1.0
    ) -> list[Delivery[T]]:
        """See `Queue.receive`."""
        try:
            return await self._receive(stream, consumer, limit, wait_s)
        except ResponseError as error:
            if NO_GROUP not in str(error):
                raise
            self._met.clear()  # the stream was deleted under us: make the group again at the next call
            return []

    async def _receive(self, stream: Stream[T], consumer: str, limit: int, wait_s: float) -> list[Delivery[T]]:
        group = stream.readers[0]
        if (stream.name, consumer) not in self._met:
            await self._ensure_group(stream)
            await self._forget_consumers(stream)
            self._met.add((stream.name, consumer))
            # What this consumer held when it died is idle for it, whatever the clock says.
            if left := await self._claim(stream, consumer, limit, min_idle_ms=0, owner=consumer):
                return left
        if left := await self._claim(stream, consumer, limit, min_idle_ms=self._claim_ms):
            return left
        answer = await self._redis.xreadgroup(
            group, consumer, {stream.name: ">"}, count=limit, block=max(1, int(wait_s * 1000))
        )
        return await self._decode(stream, [(id_, fields, 1) for id_, fields in _rows(answer)])

    async def ack(self, stream: Stream[T], delivery: Delivery[T]) -> None:
        """See `Queue.ack`."""
        await self._finish(stream, delivery.id)

    async def fail(self, stream: Stream[T], delivery: Delivery[T], error: str, *, retry_s: float = 1.0) -> None:
        """See `Queue.fail`."""
        if delivery.attempts >= MAX_ATTEMPTS:
            await self._bury(stream, delivery.id, stream.encode(delivery.message), error)
            return
        # Aged by hand, so that the next claim after `retry_s` finds it.
        try:
            await self._redis.xclaim(
                stream.name,
                stream.readers[0],
                "failed",
                0,
                [delivery.id],
                idle=max(0, self._claim_ms - int(retry_s * 1000)),
                retrycount=delivery.attempts,
                justid=True,
            )
        except ResponseError as refusal:  # the stream is gone, and the entry with it
            if NO_GROUP not in str(refusal):
                raise

    async def read(
        self, stream: Stream[T], after: str = "0", *, limit: int = 1_000, wait_s: float = 0.0
    ) -> list[Entry[T]]:
        """See `Queue.read`."""
        block = int(wait_s * 1000) or None
        while rows := _rows(await self._redis.xread({stream.name: after}, count=limit, block=block)):
            if good := _entries(stream, rows):
                return good
            after = rows[-1][0]  # nothing but rubbish so far
        return []

    async def last(self, stream: Stream[T]) -> Entry[T] | None:
        """See `Queue.last`."""
        found = _entries(stream, cast(Any, await self._redis.xrevrange(stream.name, count=1)))
        return found[0] if found else None

    async def backlog(self, stream: Stream[T]) -> int:
        """See `Queue.backlog`."""
        return int(await self._redis.xlen(stream.name))

    async def dead(self, stream: Stream[T]) -> list[Dead]:
        """See `Queue.dead`."""
        rows: Any = await self._redis.xrange(f"{stream.name}.dead")
        return [Dead(fields[MESSAGE], fields["error"]) for _, fields in rows]

    async def dead_count(self, stream: Stream[T]) -> int:
        """See `Queue.dead_count`."""
        return int(await self._redis.xlen(f"{stream.name}.dead"))

    async def footprint(self) -> Footprint:
        """See `Queue.footprint`. A Redis without a bound of its own may fill its machine."""
        told: Any = await self._redis.info("memory")
        return Footprint(int(told["used_memory"]), int(told["maxmemory"] or told["total_system_memory"]))

    async def close(self) -> None:
        """See `Queue.close`."""
        await self._redis.aclose()

    async def _ensure_group(self, stream: Stream[Any]) -> None:
        try:
            await self._redis.xgroup_create(stream.name, stream.readers[0], id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _forget_consumers(self, stream: Stream[Any]) -> None:
        """Each replica that ever read is known by its name; those long gone that hold nothing are not kept."""
        await cast(Any, self._redis.eval(FORGET, 1, stream.name, stream.readers[0], str(int(GONE_S * 1000))))

    async def _claim(
        self, stream: Stream[T], consumer: str, limit: int, *, min_idle_ms: int, owner: str | None = None
    ) -> list[Delivery[T]]:
        group = stream.readers[0]
        pending: Any = await self._redis.xpending_range(
            stream.name, group, "-", "+", limit, consumername=owner, idle=min_idle_ms or None
        )
        if not pending:
            return []
        attempts = {row["message_id"]: int(row["times_delivered"]) + 1 for row in pending}
        rows: Any = await self._redis.xclaim(stream.name, group, consumer, min_idle_ms, list(attempts))
        return await self._decode(stream, [(id_, fields, attempts[id_]) for id_, fields in rows if fields])

    async def _decode(self, stream: Stream[T], rows: Sequence[tuple[str, dict[str, str], int]]) -> list[Delivery[T]]:
        good: list[Delivery[T]] = []
        for id_, fields, attempts in rows:
            text = fields.get(MESSAGE, "")
            if attempts > MAX_ATTEMPTS:
                await self._bury(stream, id_, text, f"delivered {attempts - 1} times and never acked")
                continue
            try:
                good.append(Delivery(id_, stream.decode(text), attempts))
            except ValidationError as error:
                await self._bury(stream, id_, text, f"undecodable: {error.errors()[0]['msg']}")
        return good

    async def _bury(self, stream: Stream[Any], id_: str, text: str, error: str) -> None:
        log.error("an entry of %s goes to the dead letters: %s", stream.name, error)
        async with self._redis.pipeline(transaction=True) as pipe:
            fields: dict[Any, Any] = {MESSAGE: text, "error": error}
            pipe.xadd(f"{stream.name}.dead", fields, maxlen=DEAD_BOUND, approximate=True)
            pipe.xack(stream.name, stream.readers[0], id_)
            pipe.xdel(stream.name, id_)
            await pipe.execute()

    async def _finish(self, stream: Stream[Any], id_: str) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(stream.name, stream.readers[0], id_)
            pipe.xdel(stream.name, id_)
            await pipe.execute()


class RedisStore:
    """The real `Store`."""

    def __init__(self, client: Redis) -> None:
        self._redis = client

    async def get(self, key: str) -> str | None:
        """See `Store.get`."""
        return cast("str | None", await self._redis.get(key))

    async def put(self, key: str, value: str, *, ttl_s: float | None = None) -> None:
        """See `Store.put`."""
        await self._redis.set(key, value, px=None if ttl_s is None else max(1, int(ttl_s * 1000)))

    async def take(self, key: str) -> str | None:
        """See `Store.take`."""
        return cast("str | None", await cast(Any, self._redis.eval(TAKE, 1, key)))

    async def keys(self, prefix: str) -> list[str]:
        """See `Store.keys`."""
        escaped = "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix)
        return sorted([key async for key in self._redis.scan_iter(match=f"{escaped}*", count=1_000)])

    async def hold(self, key: str, holder: str, *, ttl_s: float) -> bool:
        """See `Store.hold`."""
        return bool(await cast(Any, self._redis.eval(HOLD, 1, key, holder, str(int(ttl_s * 1000)))))

    async def release(self, key: str, holder: str) -> None:
        """See `Store.release`."""
        await cast(Any, self._redis.eval(RELEASE, 1, key, holder))

    async def life(self) -> str:
        """See `Store.life`."""
        return str((await self._redis.info("server"))["run_id"])


def _rows(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """The (id, fields) pairs of an XREAD or XREADGROUP of one stream; both shapes that redis-py returns."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (batches,) = answer.values()
        return [row for batch in batches for row in batch] if batches and isinstance(batches[0], list) else batches
    return cast("list[tuple[str, dict[str, str]]]", answer[0][1])


def _entries(stream: Stream[T], rows: Sequence[tuple[str, dict[str, str]]]) -> list[Entry[T]]:
    good: list[Entry[T]] = []
    for id_, fields in rows:
        try:
            good.append(Entry(id_, stream.decode(fields.get(MESSAGE, ""))))
        except ValidationError as error:
            log.warning("passed over an undecodable entry of %s: %s", stream.name, error.errors()[0]["msg"])
    return good
