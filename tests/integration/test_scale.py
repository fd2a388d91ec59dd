"""More trainers than hosted peers, each a process of its own: every one gets a peer, and none is made in vain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from shared.household import HOSTED, LEASE, STATE, WISH
from tests.conftest import RedisServer
from tests.coordinator_kit import ROOT


class Household:
    """p2p with the settings it has by itself, and trainers that train alone, on one Redis and one folder."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder, self.client = folder, redis.Redis.from_url(server.url, decode_responses=True)
        own = {"REDIS_URL": server.url, "STATE_DIR": str(folder), "P2P_PORT": "0", "SOLO_AFTER_S": "0.5"}
        self.environment = {**os.environ, **own, "HTTP_PORT": "0", "OMP_NUM_THREADS": "1", "CPU_ONLY": "true"}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str, instance: str) -> None:
        log = (self.folder / f"{instance}.log").open("ab")
        command = [sys.executable, "-m", f"services.{service}"]
        told = {**self.environment, "INSTANCE": instance}
        self.processes[instance] = subprocess.Popen(command, cwd=ROOT, env=told, stderr=log)
        log.close()

    def kill(self, instance: str) -> None:
        self.processes[instance].send_signal(signal.SIGKILL)
        self.processes[instance].wait()

    def hosted(self) -> list[str]:
        return json.loads(self.client.get(HOSTED) or "[]")

    def peers(self) -> dict[str, str]:
        """Trainer -> the peer it says it trains as."""
        keys = self.client.keys(f"{STATE}trainer:*")
        states = [json.loads(text) for text in map(self.client.get, keys) if text]
        return {state["instance"]: state["facts"]["peer"] for state in states if "peer" in state["facts"]}

    def step(self, peer: str) -> int:
        """The newest checkpoint of a peer."""
        steps = (self.folder / "checkpoints" / peer / "embedded").glob("0*")
        return max((int(path.name) for path in steps), default=0)

    def wait(self, fact: Callable[[], Any], seconds: float) -> Any:
        end = time.monotonic() + seconds
        while not (found := fact()):
            logs = "\n".join(path.read_text() for path in self.folder.glob("*.log"))
            assert time.monotonic() < end, f"it did not come true in time; {self.hosted()} {self.peers()}\n{logs}"
            time.sleep(0.1)
        return found


@pytest.fixture
def household(tmp_path: Path, redis_server: RedisServer) -> Iterator[Household]:
    made = Household(tmp_path, redis_server)
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


@pytest.mark.timeout(240)
def test_three_trainers_get_three_peers_and_a_new_one_takes_the_place_of_a_killed_one(household):
    household.start("p2p", "p2p-abc")
    for instance in ("t1", "t2", "t3"):
        household.start("trainer", instance)
    household.wait(lambda: len(set(household.peers().values())) == 3, 90)
    hosted, peers = household.hosted(), household.peers()
    assert set(hosted) == set(peers.values()) and len(hosted) == 3
    lost = peers["t2"]
    reached = household.wait(lambda: household.step(lost), 30)

    household.kill("t2")
    household.start("trainer", "t4")  # what was a container is another now, with another name
    household.wait(lambda: household.client.keys(f"{WISH}t4"), 30)
    household.client.expire(LEASE + lost, 3)  # the rest of its half minute passes
    household.wait(lambda: household.peers().get("t4") == lost, 60)
    household.wait(lambda: household.step(lost) > reached, 30)  # it goes on where the killed one was
    log = (household.folder / "t4.log").read_text()
    assert f"alone: step {household.step(lost)}" in log and "alone: step 1," not in log
    assert household.hosted() == hosted
    assert household.client.get(LEASE + lost) == "t4"

    household.kill("p2p-abc")
    household.client.delete(HOSTED)
    household.start("p2p", "p2p-def")  # as another container too
    household.wait(lambda: household.hosted() == hosted, 30)
