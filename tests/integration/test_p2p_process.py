"""The service as a process of its own, beside a real Redis: it starts, is killed, comes back, and stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from shared.household import HOSTED, STATE
from tests.conftest import RedisServer, free_port
from tests.p2p_kit import identity


def wait(fact: Callable[[], Any], seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
    return found


class Service:
    """`python -m services.p2p`."""

    def __init__(self, folder: Path, server: RedisServer, **environment: str) -> None:
        self.folder, self.client = folder, redis.Redis.from_url(server.url, decode_responses=True)
        identity_path = folder / "swarm.pem"
        identity_path.write_bytes(identity("process").path.read_bytes())
        own = {"REDIS_URL": server.url, "STATE_DIR": str(folder), "IDENTITY_PATH": str(identity_path), "P2P_PORT": "0"}
        self.environment = {**os.environ, **own, **environment}

    def start(self) -> Service:
        command = [sys.executable, "-m", "services.p2p"]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        return self

    def facts(self) -> dict[str, Any]:
        text = self.client.get(f"{STATE}p2p:one")
        state = json.loads(text) if text else {}
        return state["facts"] if state.get("pid") == self.process.pid and "addresses" in state["facts"] else {}

    def daemons(self) -> list[int]:
        return [int(pid) for pid in json.loads((self.folder / "p2p" / "daemons.json").read_text())]

    def sockets(self) -> list[Path]:
        return [Path(at) for _, at in json.loads((self.folder / "p2p" / "daemons.json").read_text()).values()]

    def end(self, sig: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(sig)
        _, log = self.process.communicate(timeout=15)
        return self.process.returncode, log


@pytest.fixture
def service(tmp_path: Path, redis_server: RedisServer) -> Iterator[Service]:
    made = Service(tmp_path, redis_server).start()
    yield made
    if made.process.poll() is None:
        made.end(signal.SIGTERM)


def runs(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_killed_service_comes_back_as_the_same_peer_and_leaves_no_daemon(service):
    peers = wait(service.facts)["peers"]
    assert peers == identity("process").peer_id
    assert json.loads(service.client.get(HOSTED)) == [peers]
    (daemon,) = service.daemons()
    (socket_path,) = service.sockets()
    service.end(signal.SIGKILL)
    wait(lambda: not runs(daemon), 5)
    service.start()
    assert wait(service.facts)["peers"] == peers
    assert not socket_path.exists()
    (daemon,) = service.daemons()
    code, log = service.end(signal.SIGTERM)
    assert code == 0
    assert "p2p stopped" in log
    assert not runs(daemon)


def test_a_second_service_on_the_same_folder_ends_with_one_line(service):
    wait(service.facts)
    second = subprocess.run(
        [sys.executable, "-m", "services.p2p"],
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert "another p2p service runs on" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_second_service_takes_neither_the_identity_nor_the_port_of_one_that_runs(service, tmp_path, redis_server):
    port = wait(service.facts)["addresses"].split("/")[4]
    (tmp_path / "elsewhere").mkdir()
    taken = {"IDENTITY_PATH": service.environment["IDENTITY_PATH"], "P2P_PORT": port}
    for variable, value in taken.items():
        second = Service(tmp_path / "elsewhere", redis_server, **{variable: value}).start()
        _, log = second.process.communicate(timeout=30)
        assert second.process.returncode == 1
        assert variable in log
        assert "Traceback" not in log


def test_a_taken_port_ends_it_with_one_line(tmp_path, redis_server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        service = Service(tmp_path, redis_server, P2P_PORT=str(other.getsockname()[1])).start()
        _, log = service.process.communicate(timeout=30)
    assert service.process.returncode == 1
    assert "P2P_PORT" in log
    assert "Traceback" not in log


def test_a_bootnode_prints_what_others_need_to_join_and_needs_no_trainer(tmp_path, redis_server):
    port = str(free_port())
    told = {"P2P_BOOTNODE": "true", "P2P_PORT": port, "P2P_ANNOUNCE_HOST": "boot.example.org"}
    service = Service(tmp_path, redis_server, **told).start()
    wait(service.facts, 30)
    _, log = service.end(signal.SIGTERM)
    assert f"INITIAL_PEERS=/dns4/boot.example.org/tcp/{port}/p2p/{identity('process').peer_id}" in log


def test_settings_fail_before_anything_heavy_is_imported(tmp_path, redis_server):
    began = time.monotonic()
    service = Service(tmp_path, redis_server, INITIAL_PEERS="here").start()
    _, log = service.process.communicate(timeout=30)
    assert service.process.returncode == 2
    assert "INITIAL_PEERS" in log
    assert time.monotonic() - began < 10


def test_the_double_and_the_pure_parts_need_no_hivemind():
    parts = (
        "wire.announcement wire.validation trust.gate trust.reputation traffic.pacing traffic.inbox traffic.outbox "
        "exchange network.identities network.memory network.daemon network.seat settings"
    )
    program = "import sys\n" + "".join(f"import services.p2p.{part}\n" for part in parts.split())
    program += "assert not {'hivemind', 'torch'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
