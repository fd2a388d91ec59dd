"""What 200 open event streams cost a trainer on the same machine.

    python -m benchmarks.streams --streams 200 --pairs 4

starts `rlswarm up --local`, lets windows of time without and with open streams alternate in the same run, prints a
table, and writes `benchmarks/results/streams.json`. The streams' readers run on the same machine and take their part of
its processors, too: the figure is the worst case.

    rounds_per_minute    from the openings of rounds within a window (ROUNDS), median over windows
    trainer_seconds      generate and update of a round, a trainer's own stopwatch (EVENTS), median over all windows; it
                         does not hold the time for which peers wait for each other, which varies much
    identity_cpu_share   of one processor, identity's process alone, median over windows
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.round import RESULTS, start
from services.local.folder import Plan, RunFolder
from services.local.supervisor import Supervisor
from shared.messages import Trained
from shared.queue import Queue
from shared.queue.redis import RedisQueue, connect
from shared.streams import EVENTS, ROUNDS

WARM_UP = 10  # rounds before anything is measured
SETTLE_S = 2.0  # after streams were opened or closed
REQUEST = b"GET /api/live/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class Measured:
    """Windows of one kind."""

    rates: list[float] = field(default_factory=list)  # rounds a minute
    shares: list[float] = field(default_factory=list)  # of a processor
    seconds: list[float] = field(default_factory=list)  # of a trainer's round


@asynccontextmanager
async def followers(port: int, number: int) -> AsyncIterator[None]:
    """So many browsers that follow the page."""
    tasks = [asyncio.create_task(_follow(port)) for _ in range(number)]
    await asyncio.sleep(SETTLE_S)
    if ended := [task for task in tasks if task.done()]:
        sys.exit(f"{len(ended)} of {number} streams ended at once: {ended[0].exception() or 'refused'}")
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST)
        if b" 200 " not in await reader.readline():
            return
        while await reader.read(1 << 16):
            pass
    finally:
        writer.close()


async def measure(found: Measured, queue: Queue, identity: psutil.Process, seconds: float) -> None:
    """Add what the next seconds bring."""
    round_, event = await queue.last(ROUNDS), await queue.last(EVENTS)
    began, before = time.monotonic(), _cpu(identity)
    await asyncio.sleep(seconds)
    passed, used = time.monotonic() - began, _cpu(identity) - before
    opened = [entry.message.opened_at for entry in await queue.read(ROUNDS, round_.id if round_ else "0")]
    events = [entry.message for entry in await queue.read(EVENTS, event.id if event else "0")]
    if len(opened) < 2:
        sys.exit(f"{len(opened)} rounds in {seconds:.0f} s: too few to measure anything")
    found.rates.append(60 * (len(opened) - 1) / (opened[-1] - opened[0]))
    found.shares.append(used / passed)
    found.seconds += [
        one.seconds.get("generate", 0.0) + one.seconds.get("update", 0.0) for one in events if isinstance(one, Trained)
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def look_on(folder: RunFolder, streams: int, pairs: int, seconds: float) -> dict[int, Measured]:
    """Alternate."""
    plan = await asyncio.to_thread(_planned, folder)
    queue = RedisQueue(connect(f"redis://127.0.0.1:{plan.ports['redis']}/0"))
    cursor, opened = "0", 0
    while opened < WARM_UP:
        entries = await queue.read(ROUNDS, cursor, wait_s=1.0)
        cursor, opened = entries[-1].id if entries else cursor, opened + len(entries)
    programs = await asyncio.to_thread(Supervisor(folder).programs) or []
    identity = psutil.Process(next(program.pid for program in programs if program.name == "identity"))
    found = {0: Measured(), streams: Measured()}
    with Console().status("training") as status:
        # Without, with, with, without, ...: rounds change as the models learn; both kinds get the same share of that.
        for window, number in enumerate([0, streams, streams, 0] * pairs, 1):
            status.update(f"window {window} of {4 * pairs}: {number} streams")
            async with followers(plan.ports["identity"], number):
                await measure(found[number], queue, identity, seconds)
    await queue.close()
    return found


def _planned(folder: RunFolder) -> Plan:
    while (plan := folder.read_plan()) is None:
        time.sleep(0.5)
    return plan


def report(found: dict[int, Measured]) -> dict[str, Any]:
    """The figures."""
    rows = [
        {
            "streams": number,
            "rounds_per_minute": round(median(measured.rates), 1),
            "trainer_seconds": round(median(measured.seconds), 4),
            "identity_cpu_share": round(median(measured.shares), 3),
        }
        for number, measured in found.items()
    ]
    return {"rows": rows, "ratio": round(rows[1]["rounds_per_minute"] / rows[0]["rounds_per_minute"], 3)}


def show(figures: dict[str, Any]) -> None:
    """The figures, for people."""
    table = Table(
        "streams", "rounds a minute", "generate and update, s", "identity, share of a processor", title="rlswarm, local"
    )
    for row in figures["rows"]:
        table.add_row(*map(str, row.values()))
    Console().print(table)


def main() -> None:
    """Run, observe, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=4, help="of two windows without and two with streams")
    parser.add_argument("--seconds", type=float, default=7.0, help="of a window")
    parser.add_argument("--peers", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        swarm = start(Path(runs), asked.peers, 100_000)
        try:
            look = look_on(RunFolder(Path(runs) / "bench"), asked.streams, asked.pairs, asked.seconds)
            figures = {"peers": asked.peers, **report(asyncio.run(look))}
        finally:
            swarm.terminate()
            swarm.wait(timeout=60)
    show(figures)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "streams.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
