"""The board: the page's sections as JSON text, and how browsers follow their changes.

    show(sections) --> encode what changed, once --> wake --> follower 1 .. n: everything since its own last version

What a follower needs depends only on the version it had; those who keep up (nearly always all) share one text.
"""

from __future__ import annotations

import asyncio
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
        self._changed: dict[str, int] = {}  # section -> the version it is of
        self._version = 0
        self._since: dict[int, bytes] = {}  # version of a follower -> what it lacks, encoded
        self._news = asyncio.Event()
        self._clock = clock
        self._spoken_at = clock()
        self._closed = False
        self.followers = 0

    def show(self, sections: Mapping[str, Any]) -> None:
        """Replace the content, and wake the followers if anything is new."""
        texts = {name: _text(section) for name, section in sections.items()}
        fresh = [name for name, text in texts.items() if self._texts.get(name) != text]
        if fresh:
            self._version += 1
            self._texts = texts
            self._changed |= dict.fromkeys(fresh, self._version)
            self._since.clear()
            self._wake()

    def beat(self) -> None:
        """To be called often: where nothing has changed for a while, every follower hears the clock."""
        if self._clock() - self._spoken_at >= HEARTBEAT_S:
            self._wake()

    def close(self) -> None:
        """Let every follower end."""
        self._closed = True
        self._wake()

    def snapshot(self) -> bytes:
        """Everything as one JSON object."""
        return b'{"now":%.3f%b}' % (self._clock(), self._members(0))

    async def follow(self) -> AsyncIterator[bytes]:
        """Server-sent events: first everything, then the sections that changed, `now` always."""
        self.followers += 1
        VIEWERS.set(self.followers)
        version = 0
        try:
            yield b"retry: 2000\n\n"
            while not self._closed:
                news, lacks = self._news, self._members(version)
                version = self._version
                event = b'data: {"now":%.3f%b}\n\n' % (self._clock(), lacks)
                SENT.inc(len(event))
                yield event
                await news.wait()
        finally:
            self.followers -= 1
            VIEWERS.set(self.followers)

    def _wake(self) -> None:
        self._spoken_at = self._clock()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _members(self, version: int) -> bytes:
        """What changed since a version, as members of a JSON object, each behind a comma."""
        if version not in self._since:
            fresh = (name for name, changed in self._changed.items() if changed > version and name in self._texts)
            self._since[version] = "".join(f',"{name}":{self._texts[name]}' for name in fresh).encode()
        return self._since[version]


def _text(section: Any) -> str:
    return json.dumps(section, separators=(",", ":"), ensure_ascii=True)
