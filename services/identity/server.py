"""uvicorn inside the service's own event loop: the runtime keeps the signals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to shared/runtime.py."""
        yield


def server_of(app: FastAPI) -> Server:
    """A server for the app; it ends soon after `should_exit` is set, even if a client will not let go."""
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
        proxy_headers=False,  # web/site.py decides whom to believe
        server_header=False,
    )
    return Server(config)
