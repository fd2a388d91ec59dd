"""The publisher's own programs: they are progress while they run, and end with it, in time, or by themselves."""

import asyncio

import pytest

from services.publisher.child import run_child
from shared.health import Health
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context


@pytest.fixture
def context():
    return Context(MemoryQueue(), MemoryStore(), Health("publisher", "one", 60))


async def test_what_a_program_said_and_how_it_ended_is_told(context):
    ended = await run_child(context, "platform", [], limit_s=60)
    assert (ended.code, "Linux" in ended.said, ended.complaint) == (0, True, "")
    ended = await run_child(context, "json.tool", ["nowhere.json"], limit_s=60)
    assert ended.code != 0 and "nowhere.json" in ended.complaint


async def test_a_program_that_takes_too_long_is_ended_and_says_so(context):
    ended = await run_child(context, "http.server", ["0", "--bind", "127.0.0.1"], limit_s=1.5)
    assert (ended.code, ended.complaint) == (-15, "it was not through after 2 s")
    assert context.health.age_s() < 2, "while it ran it was progress"


async def test_a_program_ends_with_the_publisher(context):
    work = asyncio.create_task(run_child(context, "http.server", ["0", "--bind", "127.0.0.1"], limit_s=60))
    await asyncio.sleep(0.5)
    context.stop.set()
    assert (await asyncio.wait_for(work, 20)).code is None
