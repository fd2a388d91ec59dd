"""What this machine's processes are and how to end them. The only file that knows psutil."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.local.folder import MARK


@dataclass(frozen=True)
class Born:
    """A process that cannot be mistaken for a later one of the same pid."""

    pid: int
    created: float  # unix seconds, as the system tells it


def born(pid: int) -> Born | None:
    """The living process of that pid."""
    try:
        return Born(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def lives(process: Born) -> bool:
    """True while that very process runs (a zombie does not)."""
    try:
        now = psutil.Process(process.pid)
        return bool(now.create_time() == process.created and now.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def command_of(pid: int) -> list[str]:
    """A process's command line; empty if it is gone, a zombie, or somebody else's."""
    try:
        return list(psutil.Process(pid).cmdline())
    except psutil.Error:
        return []


def of_run(run: Path) -> set[Born]:
    """All living processes that carry this run's mark in their environment, this one and its parents excepted."""
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: set[Born] = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            if process.pid not in own and process.environ().get(MARK) == str(run):
                found.add(Born(process.pid, process.create_time()))
    return {process for process in found if lives(process)}


def of_group(group: int, run: Path) -> set[Born]:
    """Those of a run's processes that are in the process group that `group` led."""
    found: set[Born] = set()
    for process in of_run(run):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.add(process)
    return found


def end(processes: Iterable[Born], patience_s: float) -> None:
    """SIGTERM, and SIGKILL for what is still there after `patience_s`; returns when all are gone."""
    left = {process for process in processes if lives(process)}
    _signal(left, kill=False)
    deadline = time.monotonic() + patience_s
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {process for process in left if lives(process)}
    _signal(left, kill=True)
    gone_by = time.monotonic() + 5.0
    while any(lives(process) for process in left) and time.monotonic() < gone_by:
        time.sleep(0.02)


def _signal(processes: Iterable[Born], *, kill: bool) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            target = psutil.Process(process.pid)
            if target.create_time() == process.created:
                target.kill() if kill else target.terminate()


def listener_on(port: int) -> str | None:
    """Who listens on a TCP port, as `name (pid 12)`; None if nobody does or the system does not tell."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def as_json(processes: Mapping[str, Born]) -> dict[str, list[float]]:
    """Program -> [pid, created], for pids.json."""
    return {name: [process.pid, process.created] for name, process in sorted(processes.items())}


def from_json(values: Mapping[str, list[float]]) -> dict[str, Born]:
    """The reverse of `as_json`."""
    return {name: Born(int(pid), created) for name, (pid, created) in values.items()}
