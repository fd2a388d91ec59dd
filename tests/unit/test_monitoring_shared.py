"""What every service tells about itself and its queues."""

from prometheus_client import REGISTRY

from shared.health import Health
from shared.messages import Registration
from shared.queue.memory import MemoryQueue
from shared.queue.metrics import BACKLOG, measure
from shared.streams import ROLLOUTS_LOCAL, SUBMISSIONS
from tests.examples import ALICE


def value(metric, **labels):
    return REGISTRY.get_sample_value(metric, labels)


def test_a_part_that_never_failed_is_known_to_be_there():
    health = Health("monitored", "one", bound_s=60)
    health.heal("chain")
    assert value("swarm_service_degraded", service="monitored", part="chain") == 0
    health.degrade("chain", "no answer")
    assert value("swarm_service_degraded", service="monitored", part="chain") == 1


def test_the_bound_of_progress_stands_beside_its_age():
    health = Health("bounded", "one", bound_s=77)
    assert value("swarm_service_progress_bound_seconds", service="bounded") == 77
    assert 0 <= value("swarm_service_progress_age_seconds", service="bounded") < 5
    assert health.ok


async def test_the_reader_of_a_work_stream_tells_how_it_stands():
    queue, stream = MemoryQueue(), {"stream": SUBMISSIONS.name}
    queue.write(SUBMISSIONS, "rubbish")
    assert await queue.receive(SUBMISSIONS, "one", wait_s=0) == []
    for _ in range(3):
        await queue.publish(SUBMISSIONS, Registration(peer_id=ALICE))
    await measure(queue, "coordinator")
    assert value("swarm_queue_backlog_entries", **stream) == 3
    assert value("swarm_queue_dead_entries", **stream) == 1
    assert value("swarm_queue_bound_entries", **stream) == SUBMISSIONS.bound
    assert value("swarm_redis_memory_used_bytes") == (await queue.footprint()).used > 0


async def test_others_leave_a_stream_to_its_reader():
    BACKLOG.labels(ROLLOUTS_LOCAL.name).set(7)  # as an earlier look left it
    await measure(MemoryQueue(), "trainer")
    assert value("swarm_queue_backlog_entries", stream=ROLLOUTS_LOCAL.name) == 7
    await measure(MemoryQueue(), "p2p")
    assert value("swarm_queue_backlog_entries", stream=ROLLOUTS_LOCAL.name) == 0
