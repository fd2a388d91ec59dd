"""A whole stack in containers, as a user starts it, and a look at it from outside of its own code."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from services.local.history import History, Reader
from shared.household import SwarmState, swarm_state
from shared.queue import Store
from shared.queue.redis import RedisQueue, RedisStore, connect
from tests.conftest import free_port, free_ports
from tests.containers.engine import ENVIRONMENT, ROOT, compose_command, docker, images

T = TypeVar("T")
NEEDS = {"redis": "REDIS_IMAGE", "prometheus": "PROMETHEUS_IMAGE", "grafana": "GRAFANA_IMAGE"}
PEER_PORTS = 4
TAG = "test"


def container_name(project: str, service: str) -> str:
    """As compose names a service's first container."""
    return ("-" if compose_command() == ("docker", "compose") else "_").join((project, service, "1"))


class Stack:
    """One compose project, in a clone of this repository."""

    def __init__(self, folder: Path, project: str, *, ref: str = "", profile: str = "cpu", **settings: str) -> None:
        self.folder, self.project, self.profile = folder, project, profile
        clone(folder, ref)
        first = free_ports(PEER_PORTS)
        self.page, self._password = free_port(), ""
        self.settings = {
            **images().chosen,
            "IMAGE_TAG": TAG,
            "TORCH_INDEX_URL": "" if list((folder / "wheelhouse").glob("torch-*")) else DEFAULT_INDEX,
            "IDENTITY_PORT": str(self.page),
            "GRAFANA_PORT": str(free_port()),
            "P2P_PORT": str(first),
            "P2P_PORTS": f"{first}-{first + PEER_PORTS - 1}",
            "P2P_ANNOUNCE_HOST": self.peer_host,
            **settings,
        }
        lines = [f"{name}={value}" for name, value in self.settings.items()]
        (folder / ".env").write_text((folder / ".env.example").read_text() + "\n".join(lines) + "\n")
        # Stands for the public name by which peers of other households would reach this one.
        self.override({}, {})

    @property
    def peer_host(self) -> str:
        """The name that this stack's peers announce."""
        return f"{self.project}-peers"

    def override(self, services: dict[str, dict[str, Any]], volumes: dict[str, Any]) -> None:
        """Change the stack by an override file."""
        networks = {"inside": {}, "edge": {"aliases": [self.peer_host]}}
        services = {**services, "p2p": {**services.get("p2p", {}), "networks": networks}}
        told = {"services": services, "volumes": volumes}
        (self.folder / "docker-compose.override.yml").write_text(yaml.safe_dump(told))

    def name(self, service: str) -> str:
        """The name of a service's first container, by which those of other projects can reach it."""
        return container_name(self.project, service)

    def compose(self, *arguments: str, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one compose command in the clone; raises RuntimeError with what it said."""
        command = [*(compose_command() or ()), "-p", self.project, "--profile", self.profile, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-6000:]}")
        return done

    def services(self) -> list[str]:
        """The profile's services whose images can be had here."""
        every = yaml.safe_load((self.folder / "docker-compose.yml").read_text())["services"]
        wanted = [name for name, service in every.items() if self.profile in service["profiles"]]
        return [name for name in wanted if NEEDS.get(name) not in images().missing]

    def build(self) -> None:
        """Build the images that are built here."""
        ours = [name for name in ("keys", "chain", "p2p") if name in self.services()]
        self.compose("build", *ours, timeout=1800)

    def up(self, *arguments: str, wait_s: float = 120) -> None:
        """Start all, and wait until all are healthy."""
        self.compose("up", "-d", *arguments, *self.services(), timeout=600)
        self.wait("health", self.healthy, wait_s)

    def down(self, *arguments: str) -> None:
        """Stop all; with `-v`, the volumes go too."""
        self.compose("down", "--remove-orphans", *arguments)

    def container(self, service: str, index: int = 0) -> str:
        """The id of a service's container."""
        return self.containers(service)[index]

    def containers(self, service: str) -> list[str]:
        """The ids of a service's replicas."""
        return self.compose("ps", "-q", service).stdout.split()

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about a container."""
        found: dict[str, Any] = json.loads(docker("inspect", self.container(service)).stdout)[0]
        return found

    def troubles(self) -> list[str]:
        """Containers that do not run or are not healthy."""
        found = []
        for service in self.services():
            if service == "keys":
                continue
            for state in self.states(service):
                health = state.get("Health", {}).get("Status", "healthy")
                if state["Status"] != "running" or health != "healthy":
                    found.append(f"{service}: {state['Status']}, {health}")
            if not self.containers(service):
                found.append(f"{service}: no container")
        return found

    def states(self, service: str) -> list[dict[str, Any]]:
        """The engine's word on each replica."""
        ids = self.containers(service)
        return [one["State"] for one in json.loads(docker("inspect", *ids).stdout)] if ids else []

    def healthy(self) -> bool:
        """All run and say that they make progress."""
        return not self.troubles()

    def wait(self, what: str, condition: Callable[[], T], seconds: float) -> T:
        """Wait for something to come true; its value."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < until, f"{what}: not within {seconds} s; {self.troubles()}\n{self.said()}"
            time.sleep(0.5)
        return found

    def said(self, service: str = "", lines: int = 15) -> str:
        """The last of what the services logged."""
        return self.compose("logs", "--no-color", f"--tail={lines}", *([service] if service else [])).stdout

    def ip(self, service: str, network: str = "inside") -> str:
        """A container's address on one of the stack's networks."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        return str(networks[f"{self.project}_{network}"]["IPAddress"])

    def execute(self, service: str, *command: str, timeout: float = 30) -> str:
        """Run a command in a service's container; what it printed."""
        return docker("exec", self.container(service), *command, timeout=timeout).stdout

    def redis_url(self) -> str:
        """Redis as this machine reaches it."""
        return f"redis://{self.ip('redis')}:6379/0"

    def redis_password(self) -> str:
        """What the stack made up for itself; it does not change."""
        if not self._password:
            self._password = self.execute("redis", "cat", "/keys/redis").strip()
        return self._password

    def lineage_breaks(self) -> list[str]:
        """Rounds whose weights were not made from those of the round before."""
        found, last = [], dict[str, str]()
        for trained in sorted(self.history().trained.values(), key=lambda one: one.at):
            if last.get(trained.peer_id, trained.parent) != trained.parent:
                found.append(f"{trained.peer_id} round {trained.round}")
            last[trained.peer_id] = trained.weights or trained.parent
        return found

    def history(self) -> History:
        """All that the household's streams hold."""
        return asyncio.run(self._read())

    def chain(self) -> SwarmState | None:
        """The chain as the household sees it."""
        return self.kept(swarm_state)

    def kept(self, look: Callable[[Store], Awaitable[T]]) -> T:
        """What a look into the household's store finds."""

        async def found() -> T:
            client = connect(self.redis_url(), self.redis_password())
            try:
                return await look(RedisStore(client))
            finally:
                await client.aclose()

        return asyncio.run(found())

    async def _read(self) -> History:
        queue = RedisQueue(connect(self.redis_url(), self.redis_password()))
        try:
            reader = Reader(queue)
            await reader.catch_up()
            return reader.history
        finally:
            await queue.close()


DEFAULT_INDEX = "https://download.pytorch.org/whl/cpu"


def clone(folder: Path, ref: str = "") -> None:
    """What a user has after `git clone`, and after `git checkout` of a tag; and the wheels of this machine."""
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    if ref:
        subprocess.run(["git", "-C", str(folder), "checkout", "-q", ref], check=True)
    for wheel in (ROOT / "wheelhouse").glob("*.whl"):
        shutil.copy(wheel, folder / "wheelhouse")
