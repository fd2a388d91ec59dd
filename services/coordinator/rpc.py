"""JSON-RPC in batches, without blocking the event loop; every way a chain can fail to answer is one ChainDown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from services.coordinator.chain import ChainDown, ChainError

Request = tuple[str, list[Any]]


@dataclass(frozen=True)
class RpcError:
    """The node refused one request of a batch."""

    body: Any  # an object with a message and a code, from a node that keeps to the rules

    @property
    def message(self) -> str:
        """The node's words, on one line."""
        told = self.body.get("message", self.body) if isinstance(self.body, dict) else self.body
        return " ".join(str(told).split())[:300]


class Provider(Protocol):
    """Web3's HTTPProvider, as far as it is used here."""

    def make_batch_request(self, requests: Any) -> Any:
        """Answers of a batch of requests; blocks."""


class Rpc:
    """A node, asked in batches of at most `limit` requests."""

    def __init__(self, provider: Provider, url: str, limit: int) -> None:
        self._provider, self._limit = provider, limit
        parts = urlsplit(url)
        self._where = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)  # a path may hold a key

    async def ask(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        """The result of each request, in order, or the node's error. Raises ChainDown."""
        found: list[Any] = []
        for start in range(0, len(requests), self._limit):
            found += await self._batch(requests[start : start + self._limit])
        return found

    async def sure(self, requests: Sequence[Request]) -> list[Any]:
        """The result of each request; raises ChainError if the node refuses one."""
        found = await self.ask(requests)
        for (method, _), answer in zip(requests, found, strict=True):
            if isinstance(answer, RpcError):
                raise ChainError(f"the chain's node refuses {method}: {answer.message}", "see the log of the node")
        return found

    async def _batch(self, requests: Sequence[Request]) -> list[Any]:
        try:
            answers = await asyncio.to_thread(self._provider.make_batch_request, list(requests))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError: not JSON
            raise self._down(type(error).__name__) from error
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise self._down("it does not take requests in batches")
        try:
            # A server may answer a batch in any order; ids were given in order.
            answers.sort(key=lambda answer: int(answer["id"]))
            return [RpcError(answer["error"]) if answer.get("error") else answer["result"] for answer in answers]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self.nonsense(error) from error

    def nonsense(self, error: Exception) -> ChainDown:
        """What to raise when an answer cannot be what it should be."""
        return self._down(f"it talks nonsense, {type(error).__name__}")

    def _down(self, reason: str) -> ChainDown:
        return ChainDown(f"no chain answers at {self._where} ({reason})", "see that it runs, and CHAIN_URL")
