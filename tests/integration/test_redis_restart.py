import asyncio

from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import SUBMISSIONS
from tests.conftest import RedisServer
from tests.examples import REWARD


async def test_nothing_is_lost_when_redis_is_killed_and_callers_ride_it_out(tmp_path):
    server = RedisServer(tmp_path)
    client = connect(server.url)
    queue, store = RedisQueue(client), RedisStore(client)
    try:
        for number in range(50):
            await queue.publish(SUBMISSIONS, REWARD.model_copy(update={"round": number}))
        held = await queue.receive(SUBMISSIONS, "one", limit=10)
        await store.put("kept", "yes")
        server.kill()
        waiting = asyncio.create_task(queue.publish(SUBMISSIONS, REWARD.model_copy(update={"round": 50})))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        server.start()
        await asyncio.wait_for(waiting, 20)
        for delivery in held:
            await queue.ack(SUBMISSIONS, delivery)
        rest = await queue.receive(SUBMISSIONS, "one", limit=100)
        assert [delivery.message.round for delivery in rest] == list(range(10, 51))
        assert await store.get("kept") == "yes"
    finally:
        await queue.close()
        server.kill()


async def test_a_restarted_redis_is_in_another_life(tmp_path):
    server = RedisServer(tmp_path)
    client = connect(server.url)
    store = RedisStore(client)
    try:
        before = await store.life()
        server.kill()
        server.start()
        assert await store.life() != before
    finally:
        await client.aclose()
        server.kill()


async def test_a_reader_whose_stream_is_gone_makes_it_anew_and_goes_on(redis_url):
    client = connect(redis_url)
    queue = RedisQueue(client)
    await queue.publish(SUBMISSIONS, REWARD)
    (held,) = await queue.receive(SUBMISSIONS, "one")
    await client.flushall()
    await queue.fail(SUBMISSIONS, held, "too early")
    assert await queue.receive(SUBMISSIONS, "one", wait_s=0.05) == []
    await queue.publish(SUBMISSIONS, REWARD)
    assert [one.message for one in await queue.receive(SUBMISSIONS, "one")] == [REWARD]
    await queue.close()


async def test_readers_that_never_come_back_leave_no_name_and_no_work_behind(redis_url, monkeypatch):
    monkeypatch.setattr("shared.queue.redis.GONE_S", 0.3)
    client = connect(redis_url)
    for name in ("idle", "busy"):
        queue = RedisQueue(client, claim_s=0.5)
        await queue.publish(SUBMISSIONS, REWARD)
        (held,) = await queue.receive(SUBMISSIONS, name)
        if name == "idle":
            await queue.ack(SUBMISSIONS, held)
    await asyncio.sleep(0.6)
    queue = RedisQueue(client, claim_s=0.5)
    (held,) = await queue.receive(SUBMISSIONS, "next")
    assert await names(client) == {"busy", "next"}  # one had work in hand: it is kept until that is another's
    await queue.ack(SUBMISSIONS, held)
    await asyncio.sleep(0.4)
    await queue.publish(SUBMISSIONS, REWARD)
    await RedisQueue(client).receive(SUBMISSIONS, "last")
    assert await names(client) == {"last"}
    await client.aclose()


async def names(client):
    return {row["name"] for row in await client.xinfo_consumers(SUBMISSIONS.name, SUBMISSIONS.readers[0])}
