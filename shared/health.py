"""Health that means progress, and the small HTTP server for /health and /metrics.

The server runs in a thread of its own: it still answers, with 503, when the work loop hangs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Gauge, make_wsgi_app

from shared.errors import SwarmError

log = logging.getLogger(__name__)

PROGRESS_AGE = Gauge("swarm_service_progress_age_seconds", "Seconds since the work loop last advanced", ["service"])
PROGRESS_BOUND = Gauge("swarm_service_progress_bound_seconds", "Age above which /health answers 503", ["service"])
DEGRADED = Gauge("swarm_service_degraded", "1 while a part this service can do without is missing", ["service", "part"])


class Health:
    """Written by the work loop, read by the HTTP thread."""

    def __init__(self, service: str, instance: str, bound_s: float) -> None:
        self.service, self.instance, self._bound_s = service, instance, bound_s
        self._beat_at = time.monotonic()
        self._degraded: dict[str, str] = {}
        self.facts: dict[str, str | int | float] = {}  # small things worth showing: peer id, round, model
        PROGRESS_AGE.labels(service).set_function(self.age_s)
        PROGRESS_BOUND.labels(service).set(bound_s)

    def beat(self) -> None:
        """The work loop has advanced."""
        self._beat_at = time.monotonic()

    def age_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat_at

    @property
    def ok(self) -> bool:
        """Progress within the bound. A degraded service is healthy: it goes on without the missing part."""
        return self.age_s() <= self._bound_s

    def degrade(self, part: str, reason: str) -> None:
        """Go on without `part`; logged once per reason."""
        if self._degraded.get(part) != reason:
            log.warning("degraded, going on without %s: %s", part, reason)
        self._degraded = {**self._degraded, part: reason}
        DEGRADED.labels(self.service, part).set(1)

    def heal(self, part: str) -> None:
        """`part` is back (or was never gone)."""
        DEGRADED.labels(self.service, part).set(0)  # also the first time: a part that never failed is known to be there
        if part in self._degraded:
            log.info("%s is back", part)
            self._degraded = {key: value for key, value in self._degraded.items() if key != part}

    def state(self) -> dict[str, Any]:
        """JSON-able: what /health answers."""
        return {
            "service": self.service,
            "instance": self.instance,
            "status": "stuck" if not self.ok else "degraded" if self._degraded else "ok",
            "progress_age_s": round(self.age_s(), 1),
            "degraded": self._degraded,
            "facts": dict(self.facts),
        }


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """A scrape every few seconds is not worth a line."""


@contextlib.contextmanager
def serve_http(health: Health, host: str, port: int) -> Iterator[int]:
    """Serve GET /health and /metrics while the block runs; gives the port. Raises SwarmError if it is taken."""
    metrics = make_wsgi_app()

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            return metrics(environ, start_response)  # type: ignore[no-any-return]
        status = "200 OK" if health.ok else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(health.state()).encode()]

    try:
        server: WSGIServer = make_server(host, port, app, handler_class=_Quiet)
    except OSError as error:
        raise SwarmError(
            f"port {port} on {host} cannot be used ({error.strerror})", "set HTTP_PORT to a free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True, name="health")
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
