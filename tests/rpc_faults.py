"""A node's bad line: JSON-RPC over a proxy that drops, delays, garbles and repeats."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from random import Random

FAULTS = ("cut", "late", "http 500", "html", "no json", "half", "empty", "strangers", "errors", "twice", "numbers")


class BadLine:
    """`async with` it: an address in front of a node's. One answer in `one_in` is spoilt."""

    def __init__(self, port: int, random: Random, one_in: int = 4) -> None:
        self._port, self._random, self.one_in = port, random, one_in
        self.spoilt: Counter[str] = Counter()
        self.down = False

    async def __aenter__(self) -> BadLine:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not self.down:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                await self._answer(await reader.readexactly(length), writer)
        writer.close()

    async def _answer(self, asked: bytes, writer: asyncio.StreamWriter) -> None:
        fault = self._random.choice(FAULTS) if self._random.randrange(self.one_in) == 0 else ""
        self.spoilt[fault] += 1
        if fault == "cut" and self._random.random() < 0.5:  # before the node hears of it
            raise ConnectionError
        answer = await self._ask(asked)
        if fault == "twice":  # the client's library repeated a request whose answer was lost
            answer = await self._ask(asked)
        if fault == "cut" or self.down:
            raise ConnectionError
        if fault == "late":
            await asyncio.sleep(self._random.uniform(0.2, 1.0))
        writer.write(_spoil(fault, answer))
        await writer.drain()
        if fault == "half":
            raise ConnectionError

    async def _ask(self, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = b"POST / HTTP/1.0\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
            body
        )
        writer.write(head + body)
        try:
            return (await reader.read()).partition(b"\r\n\r\n")[2]
        finally:
            writer.close()


def _spoil(fault: str, answer: bytes) -> bytes:
    told = json.loads(answer)
    if fault == "empty":
        told = []
    elif fault == "strangers":
        told = [{"id": None}, 7, "busy"] if isinstance(told, list) else {"hello": 1}
    elif fault == "errors":
        told = [{"jsonrpc": "2.0", "id": one["id"], "error": {"code": -32005, "message": "rate limit"}} for one in told]
    elif fault == "numbers":
        told = [{**one, "result": None} for one in told]
    body = {"html": b"<html>busy</html>", "no json": b"\x00\xff{", "http 500": b"oops"}.get(
        fault, json.dumps(told).encode()
    )
    status = b"500 Oops" if fault == "http 500" else b"200 OK"
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + (body[: len(body) // 2] if fault == "half" else body)
