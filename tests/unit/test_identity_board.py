"""How browsers follow the board."""

import asyncio
import json

import pytest

from services.identity import board as module
from services.identity.board import HEARTBEAT_S, Board
from services.identity.web.live import MAX_VIEWERS
from tests.identity_kit import browser_of, parts_of


async def events(board, number):
    """The first events a new follower gets."""
    found = []
    async for text in board.follow():
        if text.startswith(b"data: "):
            found.append(json.loads(text[6:]))
        if len(found) == number:
            return found
    return found


async def test_a_follower_gets_everything_and_then_what_changed():
    board = Board(clock=lambda: 5.0)
    board.show({"a": 1, "b": [1]})
    following = asyncio.create_task(events(board, 2))
    await asyncio.sleep(0.01)
    board.show({"a": 1, "b": [1]})
    board.show({"a": 1, "b": [2]})
    assert await following == [{"now": 5.0, "a": 1, "b": [1]}, {"now": 5.0, "b": [2]}]
    assert json.loads(board.snapshot()) == {"now": 5.0, "a": 1, "b": [2]}


async def test_who_was_slow_gets_all_that_changed_meanwhile_once():
    board = Board(clock=lambda: 5.0)
    board.show({"a": 1, "b": 1, "c": 1})
    slow = board.follow()
    await anext(slow)
    await anext(slow)
    for number in (2, 3):
        board.show({"a": number, "b": 1, "c": number})
    assert json.loads((await anext(slow))[6:]) == {"now": 5.0, "a": 3, "c": 3}


async def test_a_section_that_is_gone_is_sent_to_nobody():
    board = Board(clock=lambda: 5.0)
    board.show({"a": 1, "b": 1})
    board.show({"b": 2})
    assert json.loads(board.snapshot()) == {"now": 5.0, "b": 2}


async def test_when_nothing_changes_a_heartbeat_comes():
    now = [5.0]
    board = Board(clock=lambda: now[0])
    board.show({"a": 1})
    following = asyncio.create_task(events(board, 2))
    await asyncio.sleep(0.01)
    board.beat()
    await asyncio.sleep(0.01)
    assert not following.done()
    now[0] += HEARTBEAT_S
    board.beat()
    assert (await following)[1] == {"now": 5.0 + HEARTBEAT_S}


async def test_two_hundred_followers_all_get_every_change_which_is_encoded_once(monkeypatch):
    encoded = []
    monkeypatch.setattr(module, "_text", lambda section: encoded.append(section) or json.dumps(section))
    board = Board()
    board.show({"number": 0, "still": "x" * 10_000})
    following = [asyncio.create_task(events(board, 21)) for _ in range(200)]
    for number in range(1, 21):
        await asyncio.sleep(0.002)
        board.show({"number": number, "still": "x" * 10_000})
    for one in await asyncio.wait_for(asyncio.gather(*following), 5):
        assert [event["number"] for event in one] == list(range(21))
        assert ["still" in event for event in one] == [True] + [False] * 20
    assert len(encoded) == 2 * 21
    assert len(board._since) <= 3, "a change is put together once for all who keep up"


async def test_followers_are_counted_and_end_when_the_board_closes():
    board = Board()
    following = [asyncio.create_task(events(board, 9)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert board.followers == 3
    board.close()
    await asyncio.wait_for(asyncio.gather(*following), 1)
    assert board.followers == 0


async def test_a_line_break_in_a_text_does_not_break_the_event():
    board = Board(clock=lambda: 5.0)
    board.show({"a": "x\n\ndata: y\r\u2028"})
    assert (await events(board, 1))[0]["a"] == "x\n\ndata: y\r\u2028"


@pytest.fixture
async def parts(tmp_path):
    made = parts_of(tmp_path)
    yield made
    made.accounts.close()


async def test_at_the_bound_of_followers_another_is_told_to_come_back(parts):
    parts.board.followers = MAX_VIEWERS
    async with browser_of(parts) as client:
        answer = await client.get("/api/live/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


async def test_events_go_out_one_by_one_through_all_middleware(parts):
    parts.board.show({"a": 1})
    parts.board.close()  # a stream that ends at once: httpx's transport waits for the end
    async with browser_of(parts) as client:
        answer = await client.get("/api/live/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
