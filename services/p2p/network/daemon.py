"""The p2pd processes (libp2p in Go, from hivemind's wheel): one for each hosted peer, none left behind.

Started here and not by hivemind, so that its death is seen at once (the process is our child), its end can be tied
to ours (`setpriv --pdeathsig`, Linux), and its pid and socket are on record: what a killed predecessor left is killed
and removed at the next start, and nothing of anybody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from services.p2p.network.identities import Identity
from services.p2p.network.protocol import NetworkError

log = logging.getLogger(__name__)

STARTUP_S = 15.0
STOP_S = 2.0  # from SIGTERM to SIGKILL
MAX_MESSAGE = 4 * 1024**2  # of the connection between hivemind and p2pd; hivemind expects this
NAME = "p2pd"


class Pids:
    """The daemons that run for this state folder, on disk.

    pid -> what tells it from a later process of that pid, and its socket
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[str, str]] = {}

    def kill_leftovers(self) -> int:
        """End what a killed predecessor left running, remove its sockets; how many there were."""
        with contextlib.suppress(OSError, ValueError, AttributeError):  # none, or torn: there is nothing to go by
            self._known = {
                str(pid): (str(mark), str(at)) for pid, (mark, at) in json.loads(self._path.read_text()).items()
            }
        left = [int(pid) for pid, (mark, _) in self._known.items() if mark and _mark(int(pid)) == mark]
        for pid in left:
            log.warning("p2pd %d of a killed predecessor still runs: killed", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _wait_gone(pid)
        for _, at in self._known.values():
            _remove_socket(Path(at))
        self._known = {}
        self._write()
        return len(left)

    def add(self, pid: int, socket_path: Path) -> None:
        """A daemon runs."""
        self._known[str(pid)] = (_mark(pid), str(socket_path))
        self._write()

    def remove(self, pid: int) -> None:
        """A daemon has ended."""
        self._known.pop(str(pid), None)
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".tmp")
        draft.write_text(json.dumps(self._known))
        draft.replace(self._path)


def _remove_socket(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_socket():
            path.unlink()


def _mark(pid: int) -> str:
    """When a running p2pd was started, as the system tells it; "" if this pid is no running p2pd."""
    if Path("/proc/self/stat").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return fields[19] if NAME.encode() in command and fields[0] != "Z" else ""
    with contextlib.suppress(OSError):  # macOS
        command_line = ["ps", "-o", "lstart=,command=", "-p", str(pid)]
        line = subprocess.run(command_line, capture_output=True, text=True, check=False).stdout
        return line.strip()[:24] if NAME in line else ""
    return ""


def _wait_gone(pid: int) -> None:
    until = time.monotonic() + STOP_S
    while _mark(pid) and time.monotonic() < until:
        time.sleep(0.02)


def free_port(host: str, port: int) -> int:
    """`port`, or any free one for 0. Raises NetworkError if it is taken.

    p2pd itself would start on a taken port without a word, and steal the other's connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last run's closed connections do not count
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NetworkError(f"port {port} on {host} cannot be used ({error.strerror})") from error
        return int(probe.getsockname()[1])


class Daemon:
    """One running p2pd."""

    def __init__(self, process: asyncio.subprocess.Process, control: str, pids: Pids) -> None:
        self.process, self.control = process, control  # control: multiaddress of its unix socket
        self._pids = pids
        self._drain: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls, identity: Identity, listen: str, announce: str | None, pids: Pids, reach: Sequence[str] = ()
    ) -> Daemon:
        """Start a p2pd that listens on the multiaddress `listen`; `reach`: see reach.py. Raises NetworkError."""
        control = f"/unix/tmp/hivemind-p2pd-{secrets.token_urlsafe(8)}.sock"
        process = await asyncio.create_subprocess_exec(
            *_command(identity, listen, announce, control, reach),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={"GOLOG_LOG_LEVEL": "error", **os.environ},
        )
        daemon = cls(process, control, pids)
        pids.add(process.pid, daemon.socket)
        try:
            await asyncio.wait_for(daemon._ready(), STARTUP_S)
        except BaseException as error:  # cancelled too: nobody else knows of this process yet
            await daemon.stop(at_once=True)
            if isinstance(error, TimeoutError | NetworkError):
                raise NetworkError(f"p2pd does not start: {str(error) or 'it is silent'}") from error
            raise
        daemon._drain = asyncio.create_task(daemon._read_on())
        return daemon

    async def _ready(self) -> None:
        last = ""
        while line := await self._line():
            last = line
            if line.startswith("Peer ID:"):
                return
        raise NetworkError(last or "it ended at once")

    async def _read_on(self) -> None:
        """Keep the pipe empty: a daemon that cannot write stands still."""
        while line := await self._line():
            log.debug("p2pd %d: %s", self.process.pid, line.rstrip())

    async def _line(self) -> str:
        assert self.process.stdout is not None
        try:
            return (await self.process.stdout.readline()).decode(errors="replace")
        except ValueError:  # a line longer than the buffer
            return "...\n"

    @property
    def socket(self) -> Path:
        """Where it is spoken to."""
        return Path(self.control.removeprefix("/unix"))

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.returncode is None

    async def stop(self, *, at_once: bool = False) -> None:
        """End it, and leave nothing of it."""
        for sig in (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL):
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    self.process.send_signal(sig)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), STOP_S)
        if self._drain is not None:
            self._drain.cancel()
        self._pids.remove(self.process.pid)
        _remove_socket(self.socket)


def _command(identity: Identity, listen: str, announce: str | None, control: str, reach: Sequence[str]) -> list[str]:
    # setpriv replaces itself by p2pd, so the pid is p2pd's. Without it (macOS) the pid file has to do.
    tie = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    return [
        *tie,
        _binary(),
        f"-listen={control}",
        f"-id={identity.path}",
        f"-hostAddrs={listen}",
        *([f"-announceAddrs={announce}"] if announce else []),
        "-b=0",  # joined later: a p2pd whose entry points are silent would not start
        "-dhtServer=1",
        *reach,
        "-connManager=1",
        "-tls=1",
        "-idleTimeout=30s",
        f"-persistentConnMaxMsgSize={MAX_MESSAGE}",
    ]


def _binary() -> str:
    spec = find_spec("hivemind")
    if spec is None or not spec.submodule_search_locations:
        raise NetworkError("hivemind is not installed")
    return str(Path(spec.submodule_search_locations[0]) / "hivemind_cli" / NAME)
