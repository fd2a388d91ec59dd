"""The chain as a service: a real anvil under its keeper, healthy by its blocks, and never an orphan."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import pytest

from services.chain.anvil import newest_block
from tests.conftest import free_port


class Chain:
    def __init__(self, folder, binary, **told):
        self.port, self.http, self.folder = free_port(), free_port(), folder
        told = {"ANVIL_BIN": str(binary), "CHAIN_PORT": str(self.port), "HTTP_PORT": str(self.http), **told}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.chain"],
            env={**os.environ, "STATE_DIR": str(folder), **told},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path):
        with urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=5) as answer:
            return answer.read().decode()

    def wait_for(self, condition, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(URLError, OSError, ValueError):
                if found := condition():
                    return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {self.end()}")

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        said, _ = self.process.communicate(timeout=20)
        return said


@pytest.fixture
def start(tmp_path, anvil_binary):
    chains = []

    def start_one(**told):
        chains.append(Chain(tmp_path, told.pop("binary", anvil_binary), **told))
        return chains[-1]

    yield start_one
    for chain in chains:
        if chain.process.poll() is None:
            chain.end(signal.SIGKILL)


def test_it_is_healthy_by_its_blocks_and_stops_with_its_state_on_disk(start, tmp_path):
    chain = start()
    chain.wait_for(lambda: newest_block(chain.port) == 0)
    chain.wait_for(lambda: json.loads(chain.get("/health"))["facts"].get("block") == 0)
    assert "swarm_chain_block_number 0.0" in chain.get("/metrics")
    said = chain.end()
    assert chain.process.returncode == 0, said
    assert "blocks" in json.loads((tmp_path / "chain" / "state.json").read_text())


def test_a_copy_of_the_state_is_kept_while_it_runs(start, tmp_path):
    chain = start()
    copy = tmp_path / "chain" / "state.json.copy"
    chain.wait_for(copy.exists)
    assert "blocks" in json.loads(copy.read_text())
    chain.wait_for(lambda: "swarm_chain_copies_total 0.0" not in chain.get("/metrics"))


def test_anvil_dies_with_a_killed_keeper_so_that_the_next_one_finds_the_port_free(start):
    chain = start()
    chain.wait_for(lambda: newest_block(chain.port) == 0)
    (anvil,) = psutil.Process(chain.process.pid).children()
    chain.end(signal.SIGKILL)
    anvil.wait(timeout=5)


def test_the_keeper_ends_when_anvil_is_killed(start):
    chain = start()
    chain.wait_for(lambda: newest_block(chain.port) == 0)
    (anvil,) = psutil.Process(chain.process.pid).children()
    anvil.kill()
    said, _ = chain.process.communicate(timeout=20)
    assert chain.process.returncode == 1
    assert "anvil ended with" in said


def test_a_silent_anvil_makes_it_unhealthy(start):
    chain = start(HEALTH_BOUND_S="2")
    chain.wait_for(lambda: newest_block(chain.port) == 0)  # a service that has just begun is healthy without one
    chain.wait_for(lambda: json.loads(chain.get("/health"))["status"] == "ok")
    (anvil,) = psutil.Process(chain.process.pid).children()
    anvil.suspend()
    with pytest.raises(URLError, match="503"):
        while True:
            chain.get("/health")
            time.sleep(0.2)
    anvil.resume()
    chain.wait_for(lambda: json.loads(chain.get("/health"))["status"] == "ok")


def test_a_missing_anvil_is_said_with_the_remedy(start):
    chain = start(binary="/no/such/anvil")
    said, _ = chain.process.communicate(timeout=20)
    assert chain.process.returncode == 1
    assert "set ANVIL_BIN" in said
