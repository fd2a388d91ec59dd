"""A bound on each request of an HTTP client that is a library's own: by themselves, some wait for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

KINDS = ("connect", "read", "write", "pool")  # of waiting


class Client(Protocol):
    """As httpx has it: a hook is called with each request before it is sent."""

    event_hooks: dict[str, list[Any]]


@dataclass(frozen=True)
class Patience:
    """How long a request waits where it does not say."""

    longest_s: float

    def __call__(self, request: Any) -> None:
        """Set it."""
        told = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {kind: told.get(kind) or self.longest_s for kind in KINDS}

    def rule(self, client: Client) -> None:
        """From now on, of all requests of this client."""
        hooks = client.event_hooks
        if self not in hooks["request"]:
            client.event_hooks = {**hooks, "request": [*hooks["request"], self]}
