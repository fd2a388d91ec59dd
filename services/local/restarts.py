"""Supervisord's event listener: `python -m services.local.restarts`, one a run, started by supervisord itself.

    a program is started again    --> a line in restarts.log
    a program has died            --> what it left of its process group is ended (p2pd must not outlive p2p)
    it ended with 0 or 2 at once  --> supervisord is told not to try again
    any change, every 5 s         --> pids.json (whom to end if supervisord itself is killed), a copy of the chain

It works without `up`, so a swarm whose terminal was closed is looked after all the same.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from supervisor.xmlrpc import Faults

from services.local.folder import MARK, RunFolder, write_whole
from services.local.orphans import recorded
from services.local.processes import as_json, born, end, lives, of_group
from services.local.supervisor import rpc
from services.local.tails import last_exit

READY, OK = "READY\n", "RESULT 2\nOK"
LINE = re.compile(r"^(?P<time>\S+ \S+) (?P<program>\S+) restart (?P<count>\d+): (?P<cause>.*)$")
FINAL = ("exit status 0", "exit status 2")  # done; bad settings


@dataclass(frozen=True)
class Restart:
    """One line of restarts.log."""

    at: str  # local time, 2026-01-31 12:00:00
    program: str
    count: int  # of this program in this run, from 1
    cause: str  # supervisord's words: `exit status 1`, `terminated by SIGKILL`

    def __str__(self) -> str:
        return f"{self.at} {self.program} restart {self.count}: {self.cause}"


def read_restarts(path: Path) -> list[Restart]:
    """All restarts of a run so far."""
    try:
        found = [LINE.match(line) for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return []
    return [Restart(m["time"], m["program"], int(m["count"]), m["cause"]) for m in found if m]


def note_restart(path: Path, program: str, cause: str) -> Restart:
    """Append a line to restarts.log."""
    count = 1 + sum(restart.program == program for restart in read_restarts(path))
    restart = Restart(time.strftime("%Y-%m-%d %H:%M:%S"), program, count, cause or "cause unknown")
    with path.open("a") as file:
        file.write(f"{restart}\n")
    return restart


class Listener:
    """Acts on supervisord's events."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._supervisor = rpc(folder.socket)
        self._running = recorded(folder)

    def handle(self, event: str, fields: dict[str, str]) -> None:
        """One event, with the fields of its payload."""
        if event.startswith("PROCESS_STATE_"):
            self._changed(event.removeprefix("PROCESS_STATE_"), fields)
        self._record()

    def _changed(self, state: str, fields: dict[str, str]) -> None:
        program = fields["processname"]
        cause = last_exit(self._folder.supervisor_log, program)
        if state == "BACKOFF" and cause in FINAL:
            self._supervisor.stopProcess(f"{fields['groupname']}:{program}", False)
        # On a busy machine supervisord may try once more before it is told not to: that is no crash, and not counted.
        if state == "STARTING" and fields["from_state"] in ("BACKOFF", "EXITED") and cause not in FINAL:
            restart = note_restart(self._folder.restarts, program, cause)
            print(restart, file=sys.stderr, flush=True)

    def _record(self) -> None:
        """Write down what runs. By what is seen now, not by the event, which may be old when it gets here."""
        rows = self._supervisor.getAllProcessInfo()
        found = {row["name"]: born(row["pid"]) for row in rows if row["pid"]}
        running = {name: process for name, process in found.items() if process}
        if running == self._running:
            return
        for before in set(self._running.values()) - set(running.values()):
            if not lives(before):
                end(of_group(before.pid, self._folder.root), patience_s=2.0)
        self._running = running
        write_whole(self._folder.pids, json.dumps(as_json(running)))


def events(stdin: TextIO, stdout: TextIO) -> Iterable[tuple[str, dict[str, str]]]:
    """Supervisord's events until it is gone; each is acknowledged when the next is asked for."""
    while True:
        stdout.write(READY)
        stdout.flush()
        if not (line := stdin.readline()):
            return
        head = _fields(line)
        yield head["eventname"], _fields(stdin.read(int(head["len"])).partition("\n")[0])
        stdout.write(OK)
        stdout.flush()


def _fields(line: str) -> dict[str, str]:
    return dict(part.split(":", 1) for part in line.split() if ":" in part)


def main() -> None:
    """Entry point; supervisord owns stdin and stdout."""
    listener = Listener(RunFolder(Path(os.environ[MARK])))
    for event, fields in events(sys.stdin, sys.stdout):
        try:
            listener.handle(event, fields)
        except (OSError, xmlrpc.client.Error) as error:  # the disk is full, say: the next event may fare better
            if isinstance(error, xmlrpc.client.Fault) and error.faultCode == Faults.SHUTDOWN_STATE:
                continue  # supervisord answers nothing any more
            print(f"{event}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
