"""How many requests a second the judge serves, and how long each takes.

    python -m benchmarks.judge            # 100 to 750 requests a second, ten seconds each, then as many as it can
    python -m benchmarks.judge --smoke    # a few exams; writes only where it is told to

A real judge in a process of its own, on a real Redis; this process is the client, over plain keep-alive connections.
Once with a Redis that has every change on the disk before it answers (`always`, as ours does), and once with one that
does so each second: the difference is the disk's. An exam is two requests: the question, and then an answer to it.
Exams begin by a clock, whether or not the judge keeps up, and the first request's time counts from when it was due: so
a judge that stalls for a second shows in all requests of that second. Writes `benchmarks/results/judge.json` and
`judge.svg`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.chain.anvil import dies_with_parent
from services.local.embedded import CONF, answers, redis_binary
from services.trainer.tracking.canvas import canvas, save

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "judge.json"
MIX = "nine"  # the sets that large models train on
PEERS = 200
CONNECTIONS = 50
RATES = (100, 250, 500, 750)  # requests a second
SECONDS = 10.0
FSYNC = ("always", "everysec")
STARTS_S = 60.0
console = Console()


class Connection:
    """One keep-alive connection to the judge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        text = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: judge\r\ncontent-type: application/json\r\ncontent-length: {len(text)}"
        self._writer.write(head.encode() + b"\r\n\r\n" + text)
        first, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().splitlines()
        length = next(int(field.partition(":")[2]) for field in fields if field.startswith("content-length:"))
        return int(first.split()[1]), json.loads(await self._reader.readexactly(length))


class Client:
    """Sits exams, each of another peer or in another round, and keeps what came of it."""

    def __init__(self, port: int) -> None:
        self._port, self._free = port, asyncio.Queue[Connection]()
        self._numbers = count()
        self.begin()

    def begin(self) -> None:
        """Forget what was measured."""
        self.times, self.errors = list[float](), 0

    async def connect(self) -> None:
        """Open the connections."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(Connection(*await asyncio.open_connection("127.0.0.1", self._port)))

    async def exam(self, due: float) -> None:
        """Ask at `due` (perf_counter), then answer."""
        connection = await self._free.get()
        round_number, peer = divmod(next(self._numbers), PEERS)
        body: dict[str, Any] = {"user_id": f"peer-{peer}", "round_number": round_number, "model_name": "load"}
        status, asked = await connection.post("/request-question/", body)
        self._note(status, due)
        if status == 200:
            began = time.perf_counter()
            body = {
                "session_id": asked["session_id"],
                "round_number": round_number,
                "user_answer": "<answer>7</answer>",
            }
            self._note((await connection.post("/submit-answer/", body))[0], began)
        self._free.put_nowait(connection)

    def _note(self, status: int, since: float) -> None:
        self.times.append(time.perf_counter() - since)
        self.errors += status != 200


async def at_rate(client: Client, rate: int, seconds: float) -> dict[str, Any]:
    """So many requests a second: half as many exams, begun by the clock."""
    client.begin()
    began, exams = time.perf_counter() + 0.1, int(rate / 2 * seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(exams):
            due = began + number * 2 / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(client.exam(due))
    return row(str(rate), client, time.perf_counter() - began)


async def at_most(client: Client, seconds: float) -> dict[str, Any]:
    """As many as it can: each connection begins the next exam when its last is over."""
    client.begin()
    began = time.perf_counter()

    async def one() -> None:
        while time.perf_counter() < began + seconds:
            await client.exam(time.perf_counter())

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(one())
    return row("at most", client, time.perf_counter() - began)


def row(wanted: str, client: Client, seconds: float) -> dict[str, Any]:
    """What was measured at one rate; times in milliseconds."""
    times = sorted(1000 * one for one in client.times)
    quantiles = {name: round(times[int(share * (len(times) - 1))], 1) for name, share in QUANTILES.items()}
    served = round(len(times) / seconds)
    return {"wanted": wanted, "requests": len(times), "errors": client.errors, "served_per_second": served, **quantiles}


QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}


@contextmanager
def judge(fsync: str) -> Iterator[int]:
    """The port of a judge that is there while the block lasts, with a Redis of its own."""
    with tempfile.TemporaryDirectory() as folder:
        redis_port, port = (free_port() for _ in range(2))
        Path(folder, "redis.conf").write_text(
            CONF.format(port=redis_port, folder=folder).replace("appendfsync always", f"appendfsync {fsync}")
        )
        told = {"REDIS_URL": f"redis://127.0.0.1:{redis_port}/0", "JUDGE_PORT": str(port), "DATA_MIX": MIX}
        env = os.environ | told | {"STATE_DIR": folder, "LOG_LEVEL": "WARNING"}
        redis = subprocess.Popen(
            dies_with_parent([str(redis_binary()), f"{folder}/redis.conf"]), stdout=subprocess.DEVNULL
        )
        process = None
        try:
            await_port(redis_port)
            process = subprocess.Popen(dies_with_parent([sys.executable, "-m", "services.judge"]), env=env, cwd=ROOT)
            await_port(port)
            yield port
        finally:
            for one in filter(None, (process, redis)):
                one.terminate()
                one.wait()


def await_port(port: int) -> None:
    """Wait until somebody listens there."""
    until = time.monotonic() + STARTS_S
    while not answers(f"redis://127.0.0.1:{port}", 1.0) and time.monotonic() < until:
        time.sleep(0.05)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def measure(port: int, rates: Sequence[int], seconds: float) -> list[dict[str, Any]]:
    """A row for each rate, and one for as many as it can."""
    client = Client(port)
    await client.connect()
    await at_rate(client, rates[0], min(5.0, seconds))  # questions are made when first asked for
    return [*[await at_rate(client, rate, seconds) for rate in rates], await at_most(client, seconds)]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The rows, for people."""
    table = Table(*rows[0])
    for one in rows:
        table.add_row(*map(str, one.values()))
    console.print(table)


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Time of a request by requests a second."""
    figure = canvas(7, 3)
    axes = figure.subplots()
    for fsync, style in zip(FSYNC, ("-", "--"), strict=True):
        mine = [one for one in rows if one["fsync"] == fsync]
        for name, colour in (("p50_ms", "C0"), ("p99_ms", "C1")):
            times = [one[name] for one in mine]
            served = [one["served_per_second"] for one in mine]
            axes.plot(served, times, f"o{style}", color=colour, label=f"{name[:3]}, {fsync}")
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    axes.set_xlabel("requests served a second (the last point: as many as it can)")
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def main() -> None:
    """Measure, print, write; exit code 1 if any request failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a second at 100 requests a second")
    parser.add_argument("--results", type=Path, help="where the rows go")
    asked = parser.parse_args()
    rates, seconds = (RATES[:1], 1.0) if asked.smoke else (RATES, SECONDS)
    rows = list[dict[str, Any]]()
    for fsync in FSYNC:
        with judge(fsync) as port:
            rows += [{"fsync": fsync, **one} for one in asyncio.run(measure(port, rates, seconds))]
    show(rows)
    if path := asked.results or (None if asked.smoke else RESULTS):
        path.write_text(json.dumps(rows, indent=1) + "\n")
        plot(rows, path.with_suffix(".svg"))
    sys.exit(any(one["errors"] for one in rows))


if __name__ == "__main__":
    main()
