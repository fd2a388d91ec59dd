"""Runs the swarms to be measured, each in a network namespace of its own, whose loopback counts the bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

from rich.console import Console

ENGINES = ("ours", "ours, J groups", "one key")
LIMIT_S, START_S = 40.0, 240.0
console = Console()


def isolated() -> list[str]:
    """What puts a command into a network namespace of its own; nothing where that is not allowed."""
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    allowed = shutil.which("unshare") and subprocess.run([*command, "true"], check=False, capture_output=True)
    if allowed and allowed.returncode == 0:
        return command
    console.print("no network namespace can be made here: what else this machine sends to itself is counted, too")
    return []


def measure(engine: str, peers: int, kilobytes: int, spread_s: float = 0.0, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """One swarm's row."""
    with tempfile.TemporaryDirectory(prefix="rlswarm-p2p-") as folder:
        asked = [engine, str(peers), str(kilobytes), str(spread_s), folder, str(limit_s)]
        command = [*isolated(), sys.executable, "-m", "benchmarks.p2p.cell", *asked]
        environment = {**os.environ, "REDIS_URL": "redis://unused", "STATE_DIR": folder}
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=limit_s + START_S, env=environment
        )
    if ended.returncode:
        raise RuntimeError(f"{engine} with {peers} peers: {ended.stderr.strip()[-2_000:]}")
    row: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    console.print(row)
    return row
