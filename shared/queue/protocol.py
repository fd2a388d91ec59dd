"""What a service may ask of the household's queue and store. `redis.py` is the real one, `memory.py` its double."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shared.streams import Stream

T = TypeVar("T")

MAX_ATTEMPTS = 5  # deliveries of a work entry before it goes to the dead letters


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One entry of a stream. Ids grow along the stream and serve as a cursor for `Queue.read`."""

    id: str
    message: T


@dataclass(frozen=True)
class Delivery(Entry[T]):
    """A work entry in this consumer's hands until it is acked or failed."""

    attempts: int  # how often it has been delivered, this time included


@dataclass(frozen=True)
class Dead:
    """A work entry that was given up, kept for people to look at."""

    text: str  # the message as it was written
    error: str


@dataclass(frozen=True)
class Footprint:
    """Memory that all streams and values take together, in bytes."""

    used: int
    limit: int | None  # beyond which writes are refused; None: not known


class Queue(Protocol):
    """Streams. Delivery is at least once; handlers act first, then ack, and are idempotent by `message.key`."""

    async def publish(self, stream: Stream[T], message: T) -> None:
        """Append a message. Raises QueueFullError when a work stream is at its bound."""

    async def receive(
        self, stream: Stream[T], consumer: str, *, limit: int = 16, wait_s: float = 1.0
    ) -> list[Delivery[T]]:
        """Work entries for this consumer, oldest first: what it held before a restart, what a dead consumer left,
        then new ones; waits up to `wait_s` for the first. Undecodable entries go to the dead letters."""

    async def ack(self, stream: Stream[T], delivery: Delivery[T]) -> None:
        """The entry's effect is done: delete it."""

    async def fail(self, stream: Stream[T], delivery: Delivery[T], error: str, *, retry_s: float = 1.0) -> None:
        """Deliver the entry again after `retry_s`, or move it to the dead letters at the last attempt."""

    async def read(
        self, stream: Stream[T], after: str = "0", *, limit: int = 1_000, wait_s: float = 0.0
    ) -> list[Entry[T]]:
        """Entries behind the cursor `after`, oldest first, without taking them; waits up to `wait_s` for the first.
        Undecodable entries are passed over."""

    async def last(self, stream: Stream[T]) -> Entry[T] | None:
        """The newest entry."""

    async def backlog(self, stream: Stream[T]) -> int:
        """Entries in the stream; for a work stream, those not acked."""

    async def dead(self, stream: Stream[T]) -> list[Dead]:
        """The stream's dead letters, oldest first."""

    async def dead_count(self, stream: Stream[T]) -> int:
        """How many dead letters the stream has."""

    async def footprint(self) -> Footprint:
        """The memory behind the queue."""

    async def close(self) -> None:
        """Let go of the connection."""


class Store(Protocol):
    """Small text values under keys, with expiry; leases."""

    async def get(self, key: str) -> str | None:
        """The value, None if absent or expired."""

    async def put(self, key: str, value: str, *, ttl_s: float | None = None) -> None:
        """Set a value; None keeps it for ever."""

    async def take(self, key: str) -> str | None:
        """Read and delete in one step: of two takers, one gets it."""

    async def keys(self, prefix: str) -> list[str]:
        """The keys that begin so, sorted."""

    async def hold(self, key: str, holder: str, *, ttl_s: float) -> bool:
        """Take or renew a lease: True if `holder` has it now."""

    async def release(self, key: str, holder: str) -> None:
        """Give a lease back, if it is ours."""

    async def life(self) -> str:
        """The same until the store (and with it the queue) is restarted: then what it acknowledged last may be gone,
        or all of it."""
