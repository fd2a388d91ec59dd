"""A service's own HTTP address; a port that cannot be had is one clear line."""

from __future__ import annotations

import socket

from shared.errors import SwarmError


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
