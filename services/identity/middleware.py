"""What no route gets to see: requests under foreign names, and bodies beyond the bound. Plain ASGI middleware."""

from __future__ import annotations

import asyncio

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.identity.settings import IdentitySettings
from services.identity.web.site import host_of

MAX_BODY = 64 * 1024
BODY_S = 10.0  # a body that comes slower is not waited for


class AllowedHosts:
    """A page elsewhere that lets its own name point to this machine (DNS rebinding) gets nothing."""

    def __init__(self, app: ASGIApp, settings: IdentitySettings) -> None:
        self._app, self._allowed = app, settings.allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is meant for us."""
        if scope["type"] == "http" and host_of(HTTPConnection(scope).headers.get("host", "")) not in self._allowed:
            text = "This name is not one of this server's. Its owner can add it to IDENTITY_HOSTS.\n"
            await PlainTextResponse(text, 400)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """A body is read whole before the route sees it, up to the bound, also when its length is not told."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is small enough."""
        headers = HTTPConnection(scope).headers if scope["type"] == "http" else {}
        length = headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        if not length.isascii() or not length.isdigit() or int(length[:9]) > MAX_BODY:
            await _refuse(413, scope, receive, send)
            return
        try:
            messages = await asyncio.wait_for(_read(receive), BODY_S)
        except TimeoutError:
            await _refuse(408, scope, receive, send)
            return
        if messages is None:
            await _refuse(413, scope, receive, send)
            return
        await self._app(scope, _replayed(messages, receive), send)


async def _read(receive: Receive) -> list[Message] | None:
    """The messages of a body; None if it is too large."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > MAX_BODY:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def replay() -> Message:
        return next(waiting, None) or await receive()

    return replay


async def _refuse(status: int, scope: Scope, receive: Receive, send: Send) -> None:
    text = "The request is too large.\n" if status == 413 else "The request came too slowly.\n"
    await PlainTextResponse(text, status, {"Connection": "close"})(scope, receive, send)
