"""The board: the page's sections as JSON text, and how browsers follow their changes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from services.identity.metrics import SENT, VIEWERS

HEARTBEAT_S = 5.0  # between two events when nothing changes: the page shows a notice after three without one


class Board:
    """Written by one task, followed by any number of connections; each gets what it has not yet been sent."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._texts: dict[str, str] = {}
        self._news = asyncio.Event()
        self._clock = clock
        self._closed = False
        self.followers = 0

    def show(self, sections: Mapping[str, Any]) -> None:
        """Replace the content, and wake the followers if anything is new."""
        texts = {name: _text(section) for name, section in sections.items()}
        if texts != self._texts:
            self._texts = texts
            self._wake()

    def close(self) -> None:
        """Let every follower end."""
        self._closed = True
        self._wake()

    def snapshot(self) -> str:
        """Everything as one JSON object."""
        return self._object(self._texts)

    async def follow(self) -> AsyncIterator[str]:
        """Server-sent events: first everything, then the sections that changed, `now` always."""
        self.followers += 1
        VIEWERS.set(self.followers)
        sent: dict[str, str] = {}
        try:
            yield "retry: 2000\n\n"
            while not self._closed:
                news = self._news
                fresh = {name: text for name, text in self._texts.items() if sent.get(name) != text}
                event = f"data: {self._object(fresh)}\n\n"
                sent |= fresh
                SENT.inc(len(event))
                yield event
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), HEARTBEAT_S)
        finally:
            self.followers -= 1
            VIEWERS.set(self.followers)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _object(self, texts: Mapping[str, str]) -> str:
        """JSON object of texts that are JSON already."""
        members = [f'"now":{self._clock():.3f}', *(f'"{name}":{text}' for name, text in texts.items())]
        return "{" + ",".join(members) + "}"


def _text(section: Any) -> str:
    return json.dumps(section, separators=(",", ":"), ensure_ascii=True)
