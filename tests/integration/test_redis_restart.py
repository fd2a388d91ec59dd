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
