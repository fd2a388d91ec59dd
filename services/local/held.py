"""Holds ports that nobody listens on yet, from their choice to the end of the process that chose them.

A port is held by a UDP socket of the same number: everything here listens on TCP, so it is in nobody's way, no two
processes of a machine can have it, and the system takes it back however its owner ends.
"""

from __future__ import annotations

import socket

_held: dict[int, socket.socket] = {}  # what this process holds


def hold(port: int) -> bool:
    """Hold a port for what this process will start; False if somebody listens there, or another process holds it."""
    if port in _held:
        return port_is_free(port)
    holder = socket.socket(type=socket.SOCK_DGRAM)
    try:
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return False
    # Only now: whoever held it a moment ago may have ended since, and what it started listens.
    if not port_is_free(port):
        holder.close()
        return False
    _held[port] = holder
    return True


def port_is_free(port: int) -> bool:
    """True if nobody listens on it, neither on the loopback interface nor on all."""
    for host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - asked, not served
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's rest is no listener
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
