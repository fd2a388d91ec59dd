"""The process supervisor of a run: supervisord, started in the foreground as our child, asked over its socket."""

from __future__ import annotations

import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from services.local.folder import RunFolder
from services.local.processes import born, command_of, lives
from services.local.programs import place
from services.local.tails import last_line
from shared.errors import SwarmError

UP_IN_S = 15.0
LISTENER = "restarts"


@dataclass(frozen=True)
class ProgramState:
    """A program as supervisord sees it."""

    name: str
    state: str  # supervisord's word: STARTING RUNNING BACKOFF STOPPING STOPPED EXITED FATAL UNKNOWN
    pid: int  # 0: not running
    trouble: str = ""  # why it could not be started


def rpc(socket: Path) -> Any:
    """A client of supervisord's XML-RPC interface."""
    # The address is a stand-in: the transport goes to the socket.
    transport = cast(xmlrpc.client.Transport, SupervisorTransport(None, None, f"unix://{socket}"))
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport).supervisor


class Supervisor:
    """One run's supervisord, ours or one that we found running."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it answers; raises SwarmError."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._folder.supervisor_conf)]
        with (self._folder.logs / "supervisord.out").open("ab") as out:
            # A session of its own: Ctrl-C is for us, and if we die the swarm goes on.
            self._child = subprocess.Popen(
                command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + UP_IN_S
        while self._child.poll() is None and time.monotonic() < deadline:
            if self.programs() is not None:
                return
            time.sleep(0.05)
        said = last_line(self._folder.logs / "supervisord.out") or "nothing"
        raise SwarmError(f"supervisord did not start; it said: {said}", f"see {self._folder.logs}")

    def alive(self) -> bool:
        """True while it runs."""
        if self._child is not None:
            return self._child.poll() is None
        return self.pid() is not None

    def pid(self) -> int | None:
        """Its pid, if it runs; a pid that meanwhile belongs to something else does not count."""
        try:
            pid = int(self._folder.supervisor_pid.read_text())
        except (OSError, ValueError):
            return None
        return pid if str(self._folder.supervisor_conf) in command_of(pid) else None

    def programs(self) -> list[ProgramState] | None:
        """Every program's state, in starting order; None while supervisord does not answer."""
        try:
            rows = rpc(self._folder.socket).getAllProcessInfo()
        except (OSError, xmlrpc.client.Error, EOFError):
            return None
        found = [
            ProgramState(row["name"], row["statename"], row["pid"], row["spawnerr"])
            for row in rows
            if row["name"] != LISTENER
        ]
        return sorted(found, key=lambda program: place(program.name))

    def stop(self, patience_s: float = 60.0) -> None:
        """Stop all programs in order, then supervisord; whoever watches the run is told that this is on purpose."""
        self._folder.stopping.touch()
        pid = self.pid()
        process = born(pid) if pid is not None else None
        try:
            rpc(self._folder.socket).shutdown()
        except xmlrpc.client.Fault:
            pass  # somebody else has told it to stop, and it is about it
        except (OSError, xmlrpc.client.Error, EOFError):
            return  # it is gone or hangs: the sweep that follows ends what is left
        deadline = time.monotonic() + patience_s
        # It takes its pid file away a moment before it ends itself.
        while (self.alive() or (process is not None and lives(process))) and time.monotonic() < deadline:
            time.sleep(0.05)
