"""Questions over HTTP, bounded in time and size; what an answer cannot be is told in words."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import from_json

MAX_ANSWER = 2_000_000  # bytes


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    date: float | None  # unix seconds, by the server's clock

    def json(self) -> Any:
        """The body, read; None where it is no JSON."""
        try:
            return from_json(self.body)  # bounds how deep it is nested
        except ValueError:
            return None


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a token is for the server that was named."""

    def redirect_request(self, *_: Any) -> None:
        """No other request."""


class Silent(Exception):
    """Nobody answered; says why. `absent`: the name, or the port, is nobody's."""

    def __init__(self, why: str, *, absent: bool) -> None:
        super().__init__(why)
        self.absent = absent


def ask(url: str, patience_s: float, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
    """The reply of a server, also one that refuses. Raises Silent."""
    content = None if body is None else json.dumps(body).encode()
    told = {"Content-Type": "application/json", "User-Agent": "rlswarm-doctor", **(headers or {})}
    # What is near is never asked for through a proxy; what is far is, if the environment names one.
    proxies = urllib.request.ProxyHandler({}) if is_near(url) else urllib.request.ProxyHandler()
    try:
        request = urllib.request.Request(url, content, told)  # noqa: S310 - the settings allow http and https only
        with urllib.request.build_opener(proxies, _Stay).open(request, timeout=patience_s) as answer:
            return Reply(answer.status, answer.read(MAX_ANSWER), _date(answer.headers.get("Date")))
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read(MAX_ANSWER), _date(error.headers.get("Date")))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise silence(getattr(error, "reason", error), patience_s) from error


def silence(error: object, patience_s: float) -> Silent:
    """What a connection's error means."""
    if isinstance(error, TimeoutError):
        return Silent(f"no answer within {patience_s:g} s", absent=False)
    if isinstance(error, ConnectionRefusedError | socket.gaierror):
        name = isinstance(error, socket.gaierror)
        return Silent("no such name" if name else "nothing listens there", absent=True)
    return Silent(f"{type(error).__name__}: {error}", absent=False)


def is_near(url: str) -> bool:
    """Whether an address is one of this household's own parts: this machine's, or a container's name."""
    host = urlsplit(url).hostname or ""
    return ("." not in host.rstrip(".") and ":" not in host) or host.startswith("127.") or host == "::1"


def listens(url: str, patience_s: float) -> bool:
    """Whether anybody takes connections at an address."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 6379), patience_s).close()
    except (OSError, ValueError):
        return False
    return True


def shown(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
