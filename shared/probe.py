"""Exits with 0 if the service in this container makes progress: `python -m shared.probe`, for container health checks.

Standard library only, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import http.client
import os
import sys


def healthy(port: int, timeout_s: float = 5.0) -> bool:
    """Whether GET /health on this machine answers 200; False also if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(not healthy(int(os.environ.get("HTTP_PORT", "9100"))))
