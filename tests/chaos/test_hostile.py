"""A hundred thousand hostile records and bodies, through all parts and over the wire to a running service: minutes."""

from __future__ import annotations

import asyncio
import re
import signal
import time
import urllib.request
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hivemind.p2p import PeerID
from hivemind.proto import dht_pb2

from shared.messages import Round
from shared.queue.redis import RedisQueue, connect
from shared.streams import ROLLOUTS_PEER, ROUNDS
from tests.hostile_kit import Record, Records
from tests.integration.p2p_lab import Stranger
from tests.integration.test_p2p_fuzz import fuzz_bodies, fuzz_records
from tests.integration.test_p2p_process import Service
from tests.p2p_kit import SWARM

pytestmark = pytest.mark.timeout(900)

RECORDS, BODIES = 90_000, 10_000
WIRED, WARM, BATCH = 30_000, 10_000, 100  # records over the wire, of them until caches are full, in a request
GROWTH_MIB = 24.0  # of the service and of its p2pd, after that


def test_a_hundred_thousand_hostile_things_are_refused_and_counted():
    began = time.monotonic()
    records, bodies = fuzz_records(RECORDS, seed=11).refused, fuzz_bodies(BODIES, seed=11)
    print(f"\n{RECORDS} records: {dict(records)}\n{BODIES} bodies: {dict(bodies)}\n{time.monotonic() - began:.0f} s")


class Watched(Service):
    """A service whose memory and metrics are looked at."""

    def memory_mib(self) -> tuple[float, float]:
        """Resident: of the service, of its p2pd."""
        return resident_mib(self.process.pid), resident_mib(self.daemons()[0])

    def rejections(self) -> Counter[str]:
        """What it counted, by reason."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.port()}/metrics", timeout=5).read().decode()
        found = re.findall(r'swarm_p2p_rejections_total\{reason="(\w+)"\} ([\d.e+]+)', text)
        return Counter({reason: int(float(count)) for reason, count in found if float(count)})

    def port(self) -> int:
        state = self.client.get("state:p2p:one")
        return int(re.search(r'"port":(\d+)', state)[1])


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def store(eve: Stranger, peer: str, records: list[Record]) -> None:
    request = dht_pb2.StoreRequest(peer=None)
    for record in records:
        request.keys.append(record.key)
        request.subkeys.append(record.subkey)
        request.values.append(record.value)
        request.expiration_time.append(record.expiration)
        request.in_cache.append(False)
    stub = eve.node.protocol.get_stub(PeerID.from_base58(peer))
    answer = await stub.rpc_store(request, timeout=60)
    assert not any(answer.store_ok), [r for r, ok in zip(records, answer.store_ok, strict=True) if ok]


async def started(service: Watched) -> list[str]:
    service.start()
    for _ in range(300):
        if facts := service.facts():
            return facts["addresses"].split()
        await asyncio.sleep(0.1)
    raise AssertionError("it does not start")


async def test_over_the_wire_nothing_breaks_everything_is_counted_and_memory_stays_flat(tmp_path, redis_server):
    service = Watched(tmp_path, redis_server, SWARM_NAME=SWARM, LOG_LEVEL="WARNING")
    address = (await started(service))[0]
    ours = address.rpartition("/")[2]
    queue = RedisQueue(connect(redis_server.url))
    now = time.time()
    await queue.publish(ROUNDS, Round(number=1, stage=0, opened_at=now, deadline=now + 900))
    await asyncio.sleep(2.0)
    async with await Stranger("eve").start(address) as eve:
        records, sent, warm = iter(Records(13, time.time())), 0, (0.0, 0.0)
        while sent < WIRED:
            await store(eve, ours, list(islice(records, BATCH)))
            sent += BATCH
            warm = service.memory_mib() if sent == WARM else warm
        grown = [after - before for before, after in zip(warm, service.memory_mib(), strict=True)]
        refused = service.rejections()
        print(f"\n{sent} records: {dict(refused)}; grown by {grown} MiB from {warm}")
        assert max(grown) < GROWTH_MIB
        assert refused.total() == sent
        bob = await Stranger("bob").start(address)
        await bob.sample(1)  # a good one still arrives
        for _ in range(100):
            arrived = [entry.message.peer_id for entry in await queue.read(ROLLOUTS_PEER)]
            if bob.peer in arrived:
                break
            await asyncio.sleep(0.1)
        assert arrived == [bob.peer]
        await bob.die()
    status, log = service.end(signal.SIGTERM)
    assert (status, "Traceback" in log) == (0, False), log[-5_000:]
