"""What every queue and store promises; run on the real Redis and on the in-process double."""

import asyncio

import pytest

from shared.errors import QueueFullError
from shared.messages import Registration, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.queue.protocol import MAX_ATTEMPTS
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import ROUNDS, SUBMISSIONS, Stream
from tests.examples import ALICE, REWARD

CLAIM_S = 0.4
SMALL = Stream("small", Registration, "work", ("a",), ("b",), 3)
SHORT = Stream("short", Round, "broadcast", ("a",), ("b",), 100)
FIRST, SECOND = Registration(peer_id=ALICE), REWARD


def opened(number: int) -> Round:
    return Round(number=number, stage=0, opened_at=1.0, deadline=2.0)


class OnRedis:
    """The real queue, and the moves a test needs from outside."""

    def __init__(self, url):
        self.client = connect(url)
        self.queue, self.store = RedisQueue(self.client, claim_s=CLAIM_S), RedisStore(self.client)

    async def write(self, stream, text):
        await self.client.xadd(stream.name, {"m": text})

    def restart(self, consumer):
        self.queue = RedisQueue(self.client, claim_s=CLAIM_S)


class InMemory:
    def __init__(self, url):
        self.queue, self.store = MemoryQueue(claim_s=CLAIM_S), MemoryStore()

    async def write(self, stream, text):
        self.queue.write(stream, text)

    def restart(self, consumer):
        self.queue.restart(consumer)


@pytest.fixture(params=[OnRedis, InMemory])
async def side(request, redis_server):
    side = request.param(redis_server.url)
    yield side
    await side.queue.close()


async def test_work_is_handed_out_once_in_order(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    await side.queue.publish(SUBMISSIONS, SECOND)
    got = await side.queue.receive(SUBMISSIONS, "one")
    assert [delivery.message for delivery in got] == [FIRST, SECOND]
    assert await side.queue.receive(SUBMISSIONS, "two", wait_s=0.05) == []


async def test_acked_work_is_gone_and_unacked_work_is_the_backlog(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    await side.queue.publish(SUBMISSIONS, SECOND)
    first, _ = await side.queue.receive(SUBMISSIONS, "one")
    await side.queue.ack(SUBMISSIONS, first)
    assert await side.queue.backlog(SUBMISSIONS) == 1


async def test_a_restarted_consumer_gets_what_it_held_at_once(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    await side.queue.receive(SUBMISSIONS, "one")
    side.restart("one")
    (again,) = await side.queue.receive(SUBMISSIONS, "one", wait_s=0.05)
    assert (again.message, again.attempts) == (FIRST, 2)


async def test_what_a_dead_consumer_held_is_claimed_by_the_next_after_a_while(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    await side.queue.receive(SUBMISSIONS, "dead")
    assert await side.queue.receive(SUBMISSIONS, "next", wait_s=0.05) == []
    await asyncio.sleep(CLAIM_S * 1.2)
    (claimed,) = await side.queue.receive(SUBMISSIONS, "next", wait_s=0.05)
    assert claimed.message == FIRST


async def test_failed_work_comes_again_after_its_pause(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    (delivery,) = await side.queue.receive(SUBMISSIONS, "one")
    await side.queue.fail(SUBMISSIONS, delivery, "no luck", retry_s=0.2)
    assert await side.queue.receive(SUBMISSIONS, "one", wait_s=0.02) == []
    await asyncio.sleep(0.25)
    (again,) = await side.queue.receive(SUBMISSIONS, "one", wait_s=0.05)
    assert (again.message, again.attempts) == (FIRST, 2)


async def test_work_that_always_fails_ends_in_the_dead_letters_with_its_error(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    for attempt in range(MAX_ATTEMPTS):
        (delivery,) = await side.queue.receive(SUBMISSIONS, "one", wait_s=0.5)
        assert delivery.attempts == attempt + 1
        await side.queue.fail(SUBMISSIONS, delivery, "no luck", retry_s=0)
    (dead,) = await side.queue.dead(SUBMISSIONS)
    assert (SUBMISSIONS.decode(dead.text), dead.error) == (FIRST, "no luck")
    assert await side.queue.backlog(SUBMISSIONS) == 0


async def test_work_that_kills_its_consumer_every_time_ends_in_the_dead_letters(side):
    await side.queue.publish(SUBMISSIONS, FIRST)
    for _ in range(MAX_ATTEMPTS):
        assert await side.queue.receive(SUBMISSIONS, "one", wait_s=0.05)
        side.restart("one")
    assert await side.queue.receive(SUBMISSIONS, "one", wait_s=0.05) == []
    (dead,) = await side.queue.dead(SUBMISSIONS)
    assert "never acked" in dead.error


async def test_rubbish_goes_to_the_dead_letters_and_does_not_cost_its_neighbours(side):
    await side.write(SUBMISSIONS, '{"kind": "bribe"}')
    await side.write(SUBMISSIONS, "\x00 not json")
    await side.queue.publish(SUBMISSIONS, FIRST)
    (good,) = await side.queue.receive(SUBMISSIONS, "one")
    assert good.message == FIRST
    assert len(await side.queue.dead(SUBMISSIONS)) == 2


async def test_dead_letters_are_counted_without_reading_them(side):
    assert await side.queue.dead_count(SUBMISSIONS) == 0
    for text in ("rubbish", "and more"):
        await side.write(SUBMISSIONS, text)
    assert await side.queue.receive(SUBMISSIONS, "one", wait_s=0.05) == []
    assert await side.queue.dead_count(SUBMISSIONS) == len(await side.queue.dead(SUBMISSIONS)) == 2


async def test_what_is_kept_takes_memory_within_its_limit(side):
    before = await side.queue.footprint()
    await side.write(SUBMISSIONS, "x" * 500_000)
    after = await side.queue.footprint()
    assert 500_000 <= after.used - before.used < 1_500_000
    assert after.limit is None or after.used < after.limit


async def test_a_full_work_queue_refuses_and_keeps_what_it_has(side):
    for _ in range(SMALL.bound):
        await side.queue.publish(SMALL, FIRST)
    with pytest.raises(QueueFullError, match="start its reader"):
        await side.queue.publish(SMALL, FIRST)
    assert await side.queue.backlog(SMALL) == SMALL.bound


async def test_a_broadcast_is_read_by_everybody_from_where_he_likes(side):
    for number in range(3):
        await side.queue.publish(ROUNDS, opened(number))
    entries = await side.queue.read(ROUNDS)
    assert [entry.message.number for entry in entries] == [0, 1, 2]
    assert [entry.message.number for entry in await side.queue.read(ROUNDS, entries[1].id)] == [2]
    assert len(await side.queue.read(ROUNDS, limit=2)) == 2
    assert (await side.queue.last(ROUNDS)).message.number == 2


async def test_a_reader_waits_for_the_next_broadcast(side):
    await side.queue.publish(ROUNDS, opened(0))
    cursor = (await side.queue.last(ROUNDS)).id
    reading = asyncio.create_task(side.queue.read(ROUNDS, cursor, wait_s=5))
    await asyncio.sleep(0.05)
    await side.queue.publish(ROUNDS, opened(1))
    (entry,) = await asyncio.wait_for(reading, 2)
    assert entry.message.number == 1


async def test_a_broadcast_forgets_its_oldest_entries(side):
    for number in range(500):
        await side.queue.publish(SHORT, opened(number))
    kept = [entry.message.number for entry in await side.queue.read(SHORT, limit=10_000)]
    assert kept[-1] == 499 and 100 <= len(kept) < 500  # Redis trims in whole blocks


async def test_rubbish_in_a_broadcast_is_passed_over(side):
    await side.write(ROUNDS, "rubbish")
    await side.queue.publish(ROUNDS, opened(5))
    assert [entry.message.number for entry in await side.queue.read(ROUNDS)] == [5]


async def test_a_reader_behind_rubbish_waits_like_any_other_and_is_never_stuck(side):
    await side.queue.publish(ROUNDS, opened(0))
    cursor = (await side.queue.last(ROUNDS)).id
    for _ in range(5):
        await side.write(ROUNDS, "rubbish")
    start = asyncio.get_running_loop().time()
    assert await side.queue.read(ROUNDS, cursor, limit=2, wait_s=0.2) == []
    assert asyncio.get_running_loop().time() - start > 0.15
    await side.queue.publish(ROUNDS, opened(1))
    assert [entry.message.number for entry in await side.queue.read(ROUNDS, cursor, limit=2)] == [1]


async def test_an_empty_stream_has_no_last_entry(side):
    assert await side.queue.last(ROUNDS) is None
    assert await side.queue.read(ROUNDS, wait_s=0.02) == []


async def test_values_are_kept_and_expire(side):
    await side.store.put("a", "1")
    await side.store.put("b", "2", ttl_s=0.1)
    assert [await side.store.get(key) for key in "abc"] == ["1", "2", None]
    await asyncio.sleep(0.15)
    assert [await side.store.get(key) for key in "ab"] == ["1", None]


async def test_of_two_takers_one_gets_the_value(side):
    await side.store.put("a", "1")
    assert sorted([await side.store.take("a") or "", await side.store.take("a") or ""]) == ["", "1"]


async def test_keys_are_found_by_prefix_whatever_is_in_it(side):
    for key in ("x:1", "x:2", "y:1", "x*:3"):
        await side.store.put(key, "1")
    assert await side.store.keys("x:") == ["x:1", "x:2"]
    assert await side.store.keys("x*") == ["x*:3"]


async def test_a_lease_has_one_holder_until_it_runs_out_or_is_given_back(side):
    assert await side.store.hold("lease", "me", ttl_s=0.2)
    assert not await side.store.hold("lease", "you", ttl_s=0.2)
    assert await side.store.hold("lease", "me", ttl_s=0.2)
    await side.store.release("lease", "you")
    assert not await side.store.hold("lease", "you", ttl_s=0.2)
    await asyncio.sleep(0.3)
    assert await side.store.hold("lease", "you", ttl_s=60)
    await side.store.release("lease", "you")
    assert await side.store.hold("lease", "me", ttl_s=60)


async def test_a_store_that_was_not_restarted_is_in_the_same_life(side):
    assert (await side.store.life()) == (await side.store.life()) != ""
