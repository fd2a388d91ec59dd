"""How the queues stand, told by the service that reads a work stream: p2p (rollouts.local), coordinator (submissions).

Both tell the memory of the Redis behind them; it is the same figure, for the case that one of the two is down.
"""

from __future__ import annotations

from prometheus_client import Gauge

from shared.queue.protocol import Queue
from shared.streams import ALL

BACKLOG = Gauge("swarm_queue_backlog_entries", "Entries of a work stream that are not acked", ["stream"])
BOUND = Gauge("swarm_queue_bound_entries", "Entries at which a work stream refuses more", ["stream"])
DEAD = Gauge("swarm_queue_dead_entries", "Dead letters of a work stream: given up, kept for people", ["stream"])
USED = Gauge("swarm_redis_memory_used_bytes", "Memory that Redis uses")
LIMIT = Gauge("swarm_redis_memory_limit_bytes", "Memory that Redis may use: maxmemory, or else its machine's")


async def measure(queue: Queue, reader: str) -> None:
    """Look at the work streams of one reading service."""
    read = [stream for stream in ALL if stream.kind == "work" and reader in stream.readers]
    for stream in read:
        BACKLOG.labels(stream.name).set(await queue.backlog(stream))
        BOUND.labels(stream.name).set(stream.bound)
        DEAD.labels(stream.name).set(await queue.dead_count(stream))
    if read:
        footprint = await queue.footprint()
        USED.set(footprint.used)
        if footprint.limit is not None:
            LIMIT.set(footprint.limit)
