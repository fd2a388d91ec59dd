"""The gate before anvil, which itself listens on this machine only: whoever reaches anvil may do everything to it.

    others --HTTP--> bytes, calls within bounds? --calls.read--> anvil
                          |                          | refused, in their places
                          +--> 413, 429, 400         +--> one answer

An ASGI application without a framework: one path, one method, one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

import httpx
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.chain import metrics
from services.chain.calls import BROKEN, NO_REQUEST, Request, Unreadable, answered, error, read
from shared.rate import Bucket

MAX_BODY = 4 * 2**20  # bytes: a batch of 50 contracts
BODY_S, ANSWER_S = 10.0, 30.0  # until a request has come whole, and until anvil has answered
BURST, PER_S = 20_000, 5_000  # calls of one address: several times what a household sends, receipts asked for included
MAX_ADDRESSES = 4_096  # whose calls are counted; who was silent longest is forgotten first
MAX_AT_ONCE, MAX_EACH = 512, 64  # connections, and of one address
OPEN = 32  # connections to anvil


class Rates:
    """How much each address asked lately."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, address: str, calls: int, now: float) -> bool:
        """Whether an address may make so many calls at `now` (seconds); they count then."""
        key = _network(address)
        bucket, enough = self._buckets.pop(key, Bucket(BURST, PER_S, BURST, now)).take(calls, now)
        self._buckets[key] = bucket
        while len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return enough


class Gate:
    """The application; `port` is anvil's."""

    def __init__(self, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        limits = httpx.Limits(max_connections=OPEN, max_keepalive_connections=OPEN)
        self._anvil = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S, limits=limits, trust_env=False
        )
        self._rates, self._clock = Rates(), clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if scope["method"] != "POST" or scope["path"] != "/":
            await _answer(send, 405, error(None, NO_REQUEST, "calls are posted to /"))
            return
        body = await _body(scope, receive)
        if body is None:
            metrics.CALLS.labels("too_large").inc()
            await _answer(
                send, 413, error(None, NO_REQUEST, f"a request has {MAX_BODY} bytes at most, and comes at once")
            )
            return
        await _answer(send, *await self._served(body, (scope.get("client") or ("", 0))[0]))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._anvil.aclose()

    async def _served(self, body: bytes, address: str) -> tuple[int, Any]:
        try:
            request = read(body)
        except Unreadable as unreadable:
            metrics.CALLS.labels("unreadable").inc()
            return 400, error(None, unreadable.code, str(unreadable))
        if not self._rates.take(address, len(request.ids), self._clock()):
            metrics.CALLS.labels("too_many").inc(len(request.ids))
            return 429, error(None, NO_REQUEST, f"more than {PER_S} calls a second")
        metrics.CALLS.labels("refused").inc(request.refused)
        try:
            answers = await self._asked(request)
        except (httpx.HTTPError, ValueError) as silence:
            metrics.CALLS.labels("unanswered").inc(len(request.passed))
            return 502, error(None, BROKEN, f"the chain does not answer ({type(silence).__name__})")
        metrics.CALLS.labels("passed").inc(len(request.passed))
        return 200, answered(request, answers)

    async def _asked(self, request: Request) -> list[Any]:
        if not request.passed:
            return []
        told = (await self._anvil.post("/", json=request.passed)).json()
        return told if isinstance(told, list) else [told]


class Bounded(H11Protocol):
    """HTTP/1.1 as uvicorn has it; an address has so many connections, and one that says nothing is closed."""

    held: ClassVar[Counter[str]] = Counter()  # connections by address

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        self._who = _network((transport.get_extra_info("peername") or ("",))[0])
        self.held[self._who] += 1
        if self.held[self._who] > MAX_EACH:
            metrics.CALLS.labels("too_many").inc()
            transport.close()
        self._silence = self.loop.call_later(BODY_S, self._drop)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is one less."""
        self._silence.cancel()
        self.held[self._who] -= 1
        if not self.held[self._who]:
            del self.held[self._who]
        super().connection_lost(exc)

    def _drop(self) -> None:
        if getattr(self, "cycle", None) is None:  # no request has come
            self.transport.close()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to the keeper."""
        yield


def unused_port() -> int:
    """A port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def gate_to(port: int, sock: socket.socket) -> AsyncIterator[asyncio.Task[None]]:
    """Serve on `sock`, before the anvil at `port`, while the block runs; the task that does."""
    gate = Gate(port)
    server = _server_of(gate)
    serving = asyncio.create_task(server.serve([sock]))
    try:
        yield serving
    finally:
        server.should_exit = True
        await asyncio.wait({serving})
        await gate.close()


def _server_of(gate: Gate) -> Server:
    config = uvicorn.Config(
        gate,
        http=Bounded,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        limit_concurrency=MAX_AT_ONCE,
        timeout_graceful_shutdown=2,
        proxy_headers=False,
        server_header=False,
    )
    return Server(config)


async def _body(scope: Any, receive: Any) -> bytes | None:
    """All of a request's body; None: it is too large, too slow, or broke off."""
    told = dict(scope["headers"]).get(b"content-length", b"0")
    if not told.isdigit() or int(told) > MAX_BODY:
        return None
    body = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BODY_S):
            while len(body) <= MAX_BODY:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if not message.get("more_body"):
                    return bytes(body) if len(body) <= MAX_BODY else None
    return None


async def _answer(send: Any, status: int, told: Any) -> None:
    body = json.dumps(told, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _network(address: str) -> str:
    """An address, of IPv6 the network that one household has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
