"""uvicorn inside the service's own event loop: the runtime keeps the signals, and a taken port is one clear line."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from shared.errors import SwarmError


class Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to shared/runtime.py."""
        yield


def listen(host: str, port: int, variable: str) -> socket.socket:
    """A listening socket. Raises SwarmError if the address cannot be had; `variable` is what the user may set."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=512)
        # Or an answer's second packet waits 40 ms for the first one's receipt: asyncio sees no TCP in accepted sockets.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    except OSError as error:
        cause = f"port {port} on {host} cannot be used ({error.strerror})"
        raise SwarmError(cause, f"set {variable} to a free one") from error


def server_of(app: FastAPI) -> Server:
    """A server for the app; it ends soon after `should_exit` is set, even if a client will not let go."""
    config = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=3
    )
    return Server(config)
