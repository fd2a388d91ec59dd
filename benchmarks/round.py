"""What a round of a local swarm costs: seconds by phase, bytes by peer, memory by process.

    python benchmarks/round.py --peers 3 --rounds 30

starts `rlswarm up --local`, looks on from outside, prints a table, and writes `benchmarks/results/round.json`.

    generate, exchange, update, checkpoint   a trainer's own stopwatch (EVENTS), median over rounds and peers
    chain        from taking submissions off the queue to their receipts (the coordinator's /metrics), mean of a round
    round        from one round's opening to the next one's (ROUNDS), median
    bytes        rollouts fetched from and served to other peers (EVENTS), mean of a round and peer
    memory       the kernel's high-water mark of each process (VmHWM), the largest seen
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from services.local.folder import Plan, RunFolder
from services.local.history import History, Reader
from services.local.supervisor import Supervisor
from shared.messages import Phase
from shared.queue.redis import RedisError, RedisQueue, connect
from shared.streams import ROUNDS

RESULTS = Path(__file__).parent / "results"
PHASES: tuple[Phase, ...] = ("generate", "exchange", "update", "checkpoint")
CHAIN_SECONDS = re.compile(r"^swarm_coordinator_batch_seconds_sum (\S+)", re.MULTILINE)
EVERY_S = 0.5


@dataclass
class Seen:
    """What was observed so far."""

    history: History = field(default_factory=History)
    opened: dict[int, float] = field(default_factory=dict)  # round -> unix seconds
    chain_s: float = 0.0
    peak_mib: dict[str, float] = field(default_factory=dict)  # process -> MiB


def start(runs: Path, peers: int, rounds: int) -> subprocess.Popen[bytes]:
    """The swarm, quiet."""
    command = [sys.executable, "-m", "services.cli", "up", "--local", "--name", "bench", "--no-table"]
    return subprocess.Popen(
        [*command, "--peers", str(peers), "--rounds", str(rounds)],
        env={**os.environ, "RUNS_DIR": str(runs)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


async def look_on(folder: RunFolder, swarm: subprocess.Popen[bytes], rounds: int) -> Seen:
    """Observe until the swarm ends."""
    seen = Seen()
    while (plan := folder.read_plan()) is None:
        if swarm.poll() is not None:
            sys.exit("the swarm did not start; see its output above")
        await asyncio.sleep(EVERY_S)
    queue = RedisQueue(connect(f"redis://127.0.0.1:{plan.ports['redis']}/0"))
    reader = Reader(queue)
    with Console().status("training") as status:
        while swarm.poll() is None:
            with suppress(RedisError, OSError, TimeoutError):  # it is just starting, or just ending
                await asyncio.wait_for(look(seen, reader, queue, folder, plan), 5)
            status.update(f"round {max(seen.opened, default=0)} of {rounds}")
            await asyncio.sleep(EVERY_S)
    await queue.close()
    return seen


async def look(seen: Seen, reader: Reader, queue: RedisQueue, folder: RunFolder, plan: Plan) -> None:
    """One look at the streams, the coordinator's metrics and the processes."""
    for program in await asyncio.to_thread(Supervisor(folder).programs) or []:
        if program.pid:
            note_memory(seen.peak_mib, program.name, program.pid)
    await reader.catch_up()
    seen.history = reader.history
    for entry in await queue.read(ROUNDS):
        seen.opened.setdefault(entry.message.number, entry.message.opened_at)
    url = f"http://127.0.0.1:{plan.ports['health:coordinator']}/metrics"
    with await asyncio.to_thread(urllib.request.urlopen, url, timeout=2) as answer:
        if found := CHAIN_SECONDS.search(answer.read().decode()):
            seen.chain_s = float(found[1])


def note_memory(peak_mib: dict[str, float], name: str, pid: int) -> None:
    """The high-water marks of a program and of what it started."""
    try:
        program = psutil.Process(pid)
        family = [(name, program), *((f"{name}: {child.name()}", child) for child in program.children(recursive=True))]
        for label, process in family:
            status = Path(f"/proc/{process.pid}/status").read_text()
            kib = int(status.partition("VmHWM:")[2].split()[0])
            peak_mib[label] = max(peak_mib.get(label, 0), kib / 1024)
    except (psutil.Error, OSError, IndexError, ValueError):
        return  # it ended between two looks


def report(seen: Seen, peers: int) -> dict[str, Any]:
    """The figures."""
    trained, exchanged = list(seen.history.trained.values()), list(seen.history.exchanged.values())
    opened = [at for _, at in sorted(seen.opened.items())]
    seconds: dict[str, float] = {phase: median(event.seconds.get(phase, 0.0) for event in trained) for phase in PHASES}
    seconds["chain"] = seen.chain_s / len(opened)
    seconds["round"] = median(later - earlier for earlier, later in pairwise(opened))
    return {
        "peers": peers,
        "rounds": len(opened),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "bytes_received_per_peer": round(fmean(event.bytes_received for event in exchanged) / peers),
        "bytes_sent_per_peer": round(fmean(event.bytes_sent for event in exchanged) / peers),
        "completion_tokens_per_peer": round(fmean(event.completion_tokens for event in trained)),
        "peak_memory_mib": {name: round(value) for name, value in sorted(seen.peak_mib.items())},
    }


def show(figures: dict[str, Any]) -> None:
    """The figures, for people."""
    table = Table("a round of", f"{figures['peers']} peers, {figures['rounds']} rounds", title="rlswarm, local")
    for key, value in figures["seconds"].items():
        table.add_row(f"{key}, s", f"{value:.3f}")
    for key in ("bytes_received_per_peer", "bytes_sent_per_peer", "completion_tokens_per_peer"):
        table.add_row(key.replace("_", " "), f"{figures[key]:,}")
    for key, value in figures["peak_memory_mib"].items():
        table.add_row(f"peak memory of {key}, MiB", f"{value:,}")
    Console().print(table)


def main() -> None:
    """Run, observe, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as runs:
        swarm = start(Path(runs), asked.peers, asked.rounds)
        try:
            seen = asyncio.run(look_on(RunFolder(Path(runs) / "bench"), swarm, asked.rounds))
        finally:
            swarm.terminate()
            swarm.wait(timeout=60)
    figures = report(seen, asked.peers)
    show(figures)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "round.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
