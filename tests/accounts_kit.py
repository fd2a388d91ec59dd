"""A household's accounts and its page on a port, for tests of the door."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from services.identity.accounts.accounts import Accounts
from services.identity.app import build_app
from services.identity.board import Board
from services.identity.live import View
from services.identity.parts import Parts
from services.identity.server import server_of
from services.identity.settings import IdentitySettings
from shared.health import Health
from shared.listening import listen
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load

NAME, PASSPHRASE = "Ada", "seven wet umbrellas"
WRONG = "seven dry umbrellas"


@functools.cache
def _base() -> dict[str, Any]:
    return load("identity", IdentitySettings, ["+kdf=fast"]).model_dump()


def settings_of(folder: Path, **changes: Any) -> IdentitySettings:
    """Identity's settings, with cheap hashes."""
    return IdentitySettings.model_validate({**_base(), "state_dir": folder, "identity_port": 0, **changes})


def parts_of(settings: IdentitySettings, accounts: Accounts) -> Parts:
    """What the app works with, on an empty household."""
    context = Context(MemoryQueue(), MemoryStore(), Health("identity", "one", 60))
    return Parts(settings, context, View(), Board(), accounts)


class Door:
    """The real app on the real server, at `url`."""

    def __init__(self, parts: Parts, port: int) -> None:
        self.parts, self.port, self.url = parts, port, f"http://localhost:{port}"
        self.accounts = parts.accounts

    def client(self, **options: Any) -> Browser:
        return Browser(self.url, **options)


class Browser(httpx.Client):
    """Sends forms with the token of the page that shows them."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(base_url=url, trust_env=False, timeout=20, **options)

    def token(self, path: str) -> str:
        page = self.get(path)
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found, (page.status_code, page.text[:300])
        return found[1]

    def submit(self, page: str, path: str, **fields: str) -> httpx.Response:
        """Open a page, fill in the form that goes to `path`, and send it."""
        return self.post(path, data={"csrf": self.token(page), **fields})

    def sign_up(self, name: str = NAME, passphrase: str = PASSPHRASE, **more: str) -> httpx.Response:
        return self.submit("/signup", "/signup", name=name, passphrase=passphrase, again=passphrase, **more)

    def log_in(self, name: str = NAME, passphrase: str = PASSPHRASE, **more: str) -> httpx.Response:
        return self.submit("/login", "/login", name=name, passphrase=passphrase, **more)


@contextlib.contextmanager
def accounts_at(folder: Path, **changes: Any) -> Iterator[Accounts]:
    """A household's accounts, without a page."""
    with contextlib.closing(Accounts.open(settings_of(folder, **changes))) as accounts:
        yield accounts


@contextlib.contextmanager
def door_at(folder: Path, **changes: Any) -> Iterator[Door]:
    """A household's page, served by a thread of its own."""
    settings = settings_of(folder, **changes)
    with contextlib.closing(Accounts.open(settings)) as accounts:
        parts = parts_of(settings, accounts)
        with listen("127.0.0.1", 0, "IDENTITY_PORT") as sock:
            server = server_of(build_app(parts))
            thread = threading.Thread(target=lambda: asyncio.run(server.serve([sock])))
            thread.start()
            try:
                deadline = time.monotonic() + 20
                while not server.started and time.monotonic() < deadline:
                    time.sleep(0.01)
                yield Door(parts, sock.getsockname()[1])
            finally:
                parts.board.close()
                server.should_exit = True
                thread.join()
