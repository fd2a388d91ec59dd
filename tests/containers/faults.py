"""What can go wrong with a stack, done to it for real. Nothing is repaired by hand afterwards.

kill:<process>        SIGKILL of the process that does the work, inside its container
pause:<service>       the engine freezes the container
partition:<network>   every container loses one network
torn:redis            the append-only file loses its last bytes, as after a power cut
full:<volume>         not one byte more can be written
wiped:chain           the chain loses everything
clock:<seconds>       the clock jumps, for every process of ours
oom:trainer           the kernel kills the trainer for want of memory
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.containers.engine import docker
from tests.containers.stack import Stack

SERVICES = ("redis", "chain", "coordinator", "identity", "judge", "p2p", "trainer-cpu", "prometheus")
OURS = ("chain", "coordinator", "identity", "judge", "p2p", "trainer-cpu")
INNER = {"p2pd": "p2p", "anvil": "chain"}  # processes that a service of ours starts
# Volume -> bytes, and who owns it in the image.
VOLUMES = {
    "redis": ("256m", "uid=999,gid=10001"),
    "chain": ("128m", "uid=10001,gid=10001"),
    "coordinator": ("16m", "uid=10001,gid=10001"),
    "identity": ("16m", "uid=10001,gid=10001"),
    "judge": ("16m", "uid=10001,gid=10001"),
    "p2p": ("16m", "uid=10001,gid=10001"),
    "trainer": ("256m", "uid=10001,gid=10001"),
    "prometheus": ("128m", "uid=65534,gid=65534"),
}
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
TORN_BYTES = 3_000


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong."""

    name: str
    strike: Callable[[], None]  # begins it, and returns when it is over
    fresh: bool = False  # it takes rewards and weights with it: what was before does not count after
    restarts: str = ""  # service whose restart is expected, "" for none


class Arena:
    """A stack whose volumes have an end and whose clock can be moved."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.clock = folder / "clock"
        self.moves_clock = Path(FAKETIME).exists()

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Mount the volumes and write the override that puts them, and the clock, into the stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for volume, (size, owner) in VOLUMES.items():
                self._disk(volume).mkdir(parents=True)
                options = f"size={size},mode=0750,{owner}"
                subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self._disk(volume)], check=True)
            self._set_clock(0)
            self.stack.override(self._clocks(), self._volumes())
            yield
        finally:
            self.stack.down("-v")
            for volume in VOLUMES:
                subprocess.run(["umount", "-l", self._disk(volume)], check=False, capture_output=True)

    def _disk(self, volume: str) -> Path:
        return self.folder / "volumes" / volume

    def _volumes(self) -> dict[str, object]:
        return {
            name: {"driver": "local", "driver_opts": {"type": "none", "o": "bind", "device": str(self._disk(name))}}
            for name in VOLUMES
        }

    def _clocks(self) -> dict[str, dict[str, object]]:
        """Every service of ours reads the time through a file that we write."""
        if not self.moves_clock:
            return {}
        told = {
            "LD_PRELOAD": "/opt/faketime.so",
            "FAKETIME_TIMESTAMP_FILE": "/clock/offset",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_CACHE_DURATION": "1",
        }
        mounts = [f"{FAKETIME}:/opt/faketime.so:ro", f"{self.clock}:/clock:ro"]
        return {name: {"environment": told, "volumes": mounts} for name in OURS}

    def _set_clock(self, seconds: int) -> None:
        self.clock.mkdir(exist_ok=True)
        (self.clock / "offset").write_text(f"{seconds:+d}s\n")
        self.clock.chmod(0o755)

    # ---- the faults ----

    def faults(self) -> list[Fault]:
        """All of them, in an order that does harm to the least first."""
        kills = [Fault(f"kill:{name}", partial(self.kill, name), restarts=name) for name in SERVICES]
        inner = [Fault(f"kill:{name}", partial(self.kill, INNER[name], name)) for name in INNER]
        pauses = [Fault(f"pause:{name}", partial(self.pause, name)) for name in SERVICES]
        splits = [Fault(f"partition:{name}", partial(self.partition, name)) for name in ("inside", "edge")]
        full = [Fault(f"full:{name}", partial(self.fill, name)) for name in VOLUMES]
        clocks = [Fault(f"clock:{s:+d}", partial(self.move_clock, s)) for s in (3_600, -3_600)]
        return [
            *kills,
            *inner,
            *pauses,
            *splits,
            Fault("torn:redis", self.tear_redis),
            *full,
            *(clocks if self.moves_clock else []),
            Fault("oom:trainer", self.starve_trainer, restarts="trainer-cpu"),
            Fault("wiped:chain", self.wipe_chain, fresh=True),
        ]

    def kill(self, service: str, name: str = "") -> None:
        """SIGKILL: of the container's main process, or of one it started."""
        pids = _processes(self.stack.container(service))
        (target, *_) = [pid for pid, command in pids.items() if not name or name in command]
        os.kill(target, 9)

    def pause(self, service: str, seconds: float = 10) -> None:
        """Freeze and thaw."""
        container = self.stack.container(service)
        docker("pause", container)
        time.sleep(seconds)
        docker("unpause", container)

    def partition(self, network: str, seconds: float = 10) -> None:
        """Take a network from everybody, and give it back under the same names."""
        full = f"{self.stack.project}_{network}"
        there = []
        for service in self.stack.services():
            for container in self.stack.containers(service):
                networks = json.loads(docker("inspect", container).stdout)[0]["NetworkSettings"]["Networks"]
                if full in networks:
                    there.append((container, networks[full]["Aliases"] or []))
        for container, _ in there:
            docker("network", "disconnect", full, container)
        time.sleep(seconds)
        for container, aliases in there:
            named = [part for alias in aliases for part in ("--alias", alias)]
            docker("network", "connect", *named, full, container)

    def tear_redis(self) -> None:
        """End Redis and cut off what it wrote last."""
        container = self.stack.container("redis")
        docker("kill", "-s", "KILL", container)
        files = sorted(self._disk("redis").rglob("*.aof"), key=lambda path: path.stat().st_mtime)
        newest = [path for path in files if path.stat().st_size > TORN_BYTES][-1]
        os.truncate(newest, newest.stat().st_size - TORN_BYTES)
        docker("start", container)

    def fill(self, volume: str, seconds: float = 15) -> None:
        """Fill a volume to the last byte, and make room again."""
        ballast = self._disk(volume) / ".ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(b"\0" * 65_536)
                file.flush()
        time.sleep(seconds)
        ballast.unlink()

    def wipe_chain(self) -> None:
        """Stop the chain, delete all it kept, start it."""
        container = self.stack.container("chain")
        docker("stop", container)
        for path in self._disk("chain").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        docker("start", container)

    def move_clock(self, seconds: int, lasts: float = 20) -> None:
        """Jump, stay there, jump back."""
        self._set_clock(seconds)
        time.sleep(lasts)
        self._set_clock(0)

    def starve_trainer(self) -> None:
        """Leave the trainer just the memory it has, and take some of it."""
        container = self.stack.container("trainer-cpu")
        used = int(docker("exec", container, "cat", _usage_file(container)).stdout)
        limit = str(used + 20 * 2**20)
        normal = json.loads(docker("inspect", container).stdout)[0]["HostConfig"]["Memory"]
        started = _started(container)
        docker("update", "--memory", limit, "--memory-swap", limit, container)
        eat = "b = [bytearray(2**20) for _ in range(200)]"
        docker("exec", container, "python", "-S", "-c", eat, check=False)
        until = time.monotonic() + 30
        while _started(container) == started and time.monotonic() < until:
            time.sleep(0.2)
        docker("update", "--memory", str(normal), "--memory-swap", str(2 * normal), container)


def _processes(container: str) -> dict[int, str]:
    """Pid on this machine -> command, of all but the container's init; the main process first."""
    rows = [line.split(None, 1) for line in docker("top", container, "-o", "pid,args").stdout.splitlines()[1:]]
    return {int(pid): command for pid, command in rows if "docker-init" not in command}


def _usage_file(container: str) -> str:
    old = "/sys/fs/cgroup/memory/memory.usage_in_bytes"
    return old if docker("exec", container, "test", "-e", old, check=False).returncode == 0 else NEW_USAGE


NEW_USAGE = "/sys/fs/cgroup/memory.current"


def _started(container: str) -> str:
    return docker("inspect", "-f", "{{.State.StartedAt}}", container).stdout
