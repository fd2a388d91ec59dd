"""One swarm on this machine that exchanges one round; run by `__main__.py` in a network namespace of its own.

    python -m benchmarks.p2p.cell ENGINE PEERS KILOBYTES SPREAD_S FOLDER LIMIT_S     --> one JSON row on stdout

The peers end sampling at random within SPREAD_S seconds. What is counted begins when all peers are up and know each
other, and ends when everybody has what they want.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import psutil
from hivemind.dht import DHTNode
from hivemind.utils import get_dht_time

from benchmarks.p2p.material import rollouts_of
from services.p2p.network.identities import load_or_create
from services.p2p.service import run
from services.p2p.settings import P2PSettings
from services.p2p.traffic.choice import LEAST_PEERS
from services.p2p.wire.validation import body_of
from shared.health import Health
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS

J = 4  # informative groups that "ours, J groups" wants
EVERYTHING = 100_000  # groups that "ours" wants: more than there are
SETTLE_S, LOOK_S = 0.2, 0.05  # a peer
BEAM = 50  # of GenRL's backend, as RL Swarm sets it
CALL_S = 15.0  # hivemind itself would wait for ever


@dataclass
class Meter:
    """Bytes on the loopback interface, processor seconds of this process and its children, and the time."""

    bytes: int
    cpu_s: float
    at: float

    @classmethod
    def read(cls) -> Meter:
        """As they stand."""
        lines = Path("/proc/net/dev").read_text().splitlines()
        received = next(int(line.split(":")[1].split()[0]) for line in lines if line.strip().startswith("lo:"))
        own = psutil.Process()
        times = [one.cpu_times() for one in [own, *own.children(recursive=True)] if one.is_running()]
        return cls(received, sum(one.user + one.system for one in times), time.monotonic())


async def ours(
    folder: Path, pauses: list[float], kilobytes: int, wants: int, limit_s: float
) -> tuple[Meter, Meter, int]:
    """The service, once for each peer."""
    logging.disable(logging.CRITICAL)
    peers = len(pauses)
    queues = [MemoryQueue() for _ in pauses]
    contexts = [Context(queue, MemoryStore(), Health("p2p", "one", 600)) for queue in queues]
    base, tasks, first = load("p2p", P2PSettings), [], tuple[str, ...]()
    for index, context in enumerate(contexts):
        fields = {
            "state_dir": folder / f"state-{index}",
            "identity_path": folder / f"{index}.pem",
            "port": 0,
            "external_groups": wants,
            "initial_peers": first,
        }
        tasks.append(asyncio.create_task(run(base.model_copy(update=fields), context)))
        if not first:
            await until(lambda: "addresses" in contexts[0].health.facts, 30)
            first = (str(context.health.facts["addresses"]),)
    await until(lambda: all(int(one.health.facts.get("connected", 0)) >= min(peers - 1, 3) for one in contexts), 60)
    await asyncio.sleep(SETTLE_S * peers)
    names = [str(context.health.facts["peers"]) for context in contexts]

    sampled = {name: rollouts_of(name, kilobytes) for name in names}

    async def take_part(context: Context, name: str, pause_s: float) -> None:
        now = time.time()
        await context.queue.publish(ROUNDS, Round(number=1, stage=0, opened_at=now, deadline=now + 600))
        await asyncio.sleep(pause_s)
        await context.queue.publish(ROLLOUTS_LOCAL, sampled[name])

    before = Meter.read()
    taking_part = asyncio.gather(*map(take_part, contexts, names, pauses))
    enough = peers - 1 if wants == EVERYTHING else min(peers - 1, LEAST_PEERS)

    def complete() -> int:
        return sum(len(queue._log(ROLLOUTS_PEER).entries) >= enough for queue in queues)

    with suppress(TimeoutError):
        await until(lambda: complete() == peers, limit_s)
    after, found = Meter.read(), complete()
    await taking_part
    for context in contexts:
        context.stop.set()
    await asyncio.gather(*tasks)
    return before, after, found


async def one_key(folder: Path, pauses: list[float], kilobytes: int, limit_s: float) -> tuple[Meter, Meter, int]:
    """As GenRL's `HivemindBackend.all_gather_object` does: store under the round's key, then get until all are there.

    On hivemind's `DHTNode`: the forked `DHT` that the backend uses ends at messages of 16 KiB.
    """
    nodes, first, peers = [], None, len(pauses)
    for index in range(peers):
        nodes.append(
            await DHTNode.create(
                initial_peers=first,
                identity_path=str(folder / f"{index}.pem"),
                host_maddrs=["/ip4/127.0.0.1/tcp/0"],
                nat_port_map=False,
                auto_nat=False,
            )
        )
        first = first or [str(address) for address in await nodes[0].get_visible_maddrs()]
    await asyncio.sleep(SETTLE_S * peers)
    complete, names = [False] * peers, [str(node.peer_id) for node in nodes]
    sampled = [rollouts_of(name, kilobytes) for name in names]

    async def gather(index: int) -> None:
        node, name = nodes[index], names[index]
        await asyncio.sleep(pauses[index])
        body, until_ = body_of(sampled[index]), get_dht_time() + 600
        with suppress(TimeoutError):
            await asyncio.wait_for(node.store("1", body, until_, subkey=name, beam_size=BEAM), CALL_S)
        await asyncio.sleep(1)
        while not complete[index]:
            with suppress(TimeoutError):
                found = await asyncio.wait_for(node.get("1", latest=True, beam_size=BEAM), CALL_S)
                complete[index] = found is not None and len(found.value) >= peers
            await asyncio.sleep(0)

    before = Meter.read()
    gathering = asyncio.gather(*(gather(index) for index in range(peers)))
    with suppress(TimeoutError):
        await asyncio.wait_for(gathering, limit_s)
    after = Meter.read()
    for node in nodes:
        node.is_alive = False
        node.p2p._child.kill()
    return before, after, sum(complete)


async def until(fact: Callable[[], bool], seconds: float) -> None:
    """Wait until a fact holds. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not fact():
        await asyncio.sleep(LOOK_S)
        if time.monotonic() > end:
            raise TimeoutError


async def cell(
    engine: str, peers: int, kilobytes: int, spread_s: float, folder: Path, limit_s: float
) -> dict[str, object]:
    """The row of one swarm."""
    random = Random(peers)
    pauses = [random.uniform(0, spread_s) for _ in range(peers)]
    if engine == "one key":
        before, after, complete = await one_key(folder, pauses, kilobytes, limit_s)
    else:
        wants = EVERYTHING if engine == "ours" else J
        before, after, complete = await ours(folder, pauses, kilobytes, wants, limit_s)
    return {
        "peers": peers,
        "kilobytes": kilobytes,
        "engine": engine,
        "spread_seconds": spread_s,
        "bytes": after.bytes - before.bytes,
        "cpu_seconds": round(after.cpu_s - before.cpu_s, 2),
        "complete_peers": complete,
        "seconds": round(after.at - before.at, 2),
    }


def main(engine: str, peers: str, kilobytes: str, spread_s: str, folder: str, limit_s: str) -> None:
    """Measure, print the row."""
    for number in range(int(peers)):
        load_or_create(Path(folder) / f"{number}.pem")
    print(
        json.dumps(asyncio.run(cell(engine, int(peers), int(kilobytes), float(spread_s), Path(folder), float(limit_s))))
    )
    sys.stdout.flush()
    os._exit(0)  # hivemind's nodes would be taken down for long, and loudly


if __name__ == "__main__":
    main(*sys.argv[1:])
