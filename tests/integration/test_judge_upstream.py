"""A judge in front of another one: real HTTP between the two, and every way in which the other one can fail."""

import asyncio
import contextlib
import socket

import pytest

from services.judge.breaker import FAILURES
from shared.errors import SettingsError
from shared.queue.memory import MemoryStore
from tests.integration.test_judge_http import ROUND, ask, judge, right_answer, settings, submit


@contextlib.asynccontextmanager
async def crooked(answer):
    """A judge that answers every request with these bytes, or with silence; gives its URL and the requests so far."""
    asked = []

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                await asyncio.sleep(30)
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()


def http(status, body=b"{}"):
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(body), body)


async def test_questions_and_scores_come_from_the_upstream_judge():
    async with judge(MemoryStore(), "data=six") as far, judge(MemoryStore(), f"upstream_url={far.base_url}") as near:
        asked = await ask(near)
        assert asked["question"] == (await ask(far, "QmOther"))["question"]
        assert asked == await ask(near), "the same session again"
        assert 0 <= (await submit(near, asked["session_id"], "no")).json()["score"] < 0.5
        assert (await submit(near, asked["session_id"], "no")).status_code == 404
        assert (await near.get("/leaderboard/")).json()["source"] == "upstream"
        (row,) = (await far.get("/leaderboard/")).json()["rows"]
        assert row["user_id"] == "QmPeer", "the upstream judge knows the peer, too"


async def test_what_the_upstream_judge_has_asked_already_is_asked_no_more():
    async with judge(MemoryStore()) as far, judge(MemoryStore(), f"upstream_url={far.base_url}") as near:
        await submit(far, (await ask(far))["session_id"], "no")
        body = {"user_id": "QmPeer", "round_number": ROUND, "model_name": "tiny"}
        assert (await near.post("/request-question/", json=body)).status_code == 409


@pytest.mark.parametrize(
    "answer",
    [None, http(500), http(302), http(200, b"not json"), http(200, b" " * 200_000)],
    ids=["silent", "500", "redirect", "text", "endless"],
)
async def test_with_a_broken_upstream_judge_the_bank_asks_and_the_health_says_so(answer):
    async with crooked(answer) as (url, asked):
        overrides = (f"upstream_url={url}", "upstream_timeout_s=0.2")
        async with judge(MemoryStore(), *overrides) as client:
            for number in range(FAILURES + 3):
                session_id = (await ask(client, number=number))["session_id"]
                assert (await submit(client, session_id, right_answer(number), number)).json() == {"score": 1.0}
            assert len(asked) == FAILURES, "then it is left alone"
            assert "own bank" in client.health.state()["degraded"]["upstream"]
            assert (await client.get("/leaderboard/")).json()["source"] == "bank"


async def test_an_answer_that_the_upstream_judge_cannot_score_now_may_be_brought_again():
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]
    store = MemoryStore()
    overrides = (f"upstream_url=http://127.0.0.1:{port}",)
    far_store = MemoryStore()
    async with judge(far_store, f"judge_port={port}"), judge(store, *overrides) as near:
        session_id = (await ask(near))["session_id"]
    async with judge(store, *overrides) as near:
        later = await submit(near, session_id, right_answer())
        assert later.status_code == 503 and later.headers["retry-after"]
        async with judge(far_store, f"judge_port={port}"):
            assert (await submit(near, session_id, right_answer())).json() == {"score": 1.0}


def test_an_upstream_url_that_is_none_is_said_at_the_start(monkeypatch):
    monkeypatch.setenv("JUDGE_UPSTREAM_URL", "judge:8000")
    with pytest.raises(SettingsError, match="set JUDGE_UPSTREAM_URL"):
        settings()
