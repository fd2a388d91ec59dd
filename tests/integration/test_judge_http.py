"""The judge over real HTTP on a real uvicorn, with the in-process store and with a real Redis."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from services.judge.bank import Bank
from services.judge.service import run
from services.judge.settings import JudgeSettings
from shared.errors import SwarmError
from shared.exams import exam_board
from shared.health import Health
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.queue.redis import RedisStore, connect
from shared.runtime import Context
from shared.settings import load
from tests.conftest import free_port

ROUND = 7


def settings(*overrides):
    return load("judge", JudgeSettings, ["judge_port=0", *overrides])


@contextlib.asynccontextmanager
async def judge(store, *overrides):
    """A running judge and a client that speaks to it."""
    context = Context(MemoryQueue(), store, Health("judge", "one", 60))
    running = asyncio.create_task(run(settings(*overrides), context))
    while "port" not in context.health.facts and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        if running.done():
            await running
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{context.health.facts['port']}", timeout=20) as client:
            client.health = context.health
            yield client
    finally:
        context.stop.set()
        await asyncio.wait_for(running, 8)


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    client = connect(request.getfixturevalue("redis_url"))
    yield RedisStore(client)
    await client.aclose()


async def ask(client, peer="QmPeer", number=ROUND):
    body = {"user_id": peer, "round_number": number, "model_name": "tiny"}
    answer = await client.post("/request-question/", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def submit(client, session_id, text, number=ROUND):
    body = {"session_id": session_id, "round_number": number, "user_answer": text}
    return await client.post("/submit-answer/", json=body)


def right_answer(number=ROUND, *answered):
    bank = Bank(settings().data)
    return bank._entry(bank.pick(number, answered))["answer"]


async def test_the_right_answer_scores_one_once(store):
    async with judge(store) as client:
        asked = await ask(client)
        right = f"so <answer>{right_answer()}</answer>"
        answer = await submit(client, asked["session_id"], right)
        assert (answer.status_code, answer.json()) == (200, {"score": 1.0})
        assert (await submit(client, asked["session_id"], right)).status_code == 404


async def test_of_many_answers_at_once_one_is_scored(store):
    async with judge(store) as client:
        session_id = (await ask(client))["session_id"]
        answers = await asyncio.gather(*(submit(client, session_id, "1") for _ in range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] + [404] * 9


async def test_all_peers_of_a_round_get_the_same_question_and_sessions_of_their_own(store):
    async with judge(store) as client:
        asked = [await ask(client, peer) for peer in ("QmA", "QmB")]
        assert len({one["question"] for one in asked}) == 1
        assert len({one["session_id"] for one in asked}) == 2
        assert (await ask(client, number=ROUND + 1))["question"] != asked[0]["question"]


async def test_who_asks_twice_gets_the_same_session_and_after_the_answer_none(store):
    async with judge(store) as client:
        twice = await asyncio.gather(*(ask(client) for _ in range(8)))
        assert all(one == twice[0] for one in twice)
    async with judge(store) as client:
        assert await ask(client) == twice[0], "after a restart, too"
        assert (await submit(client, twice[0]["session_id"], "no idea")).json() == {"score": 0.0}
        body = {"user_id": "QmPeer", "round_number": ROUND, "model_name": "tiny"}
        assert (await client.post("/request-question/", json=body)).status_code == 409
    async with judge(store) as client:
        assert (await client.post("/request-question/", json=body)).status_code == 409


async def test_a_session_is_its_peers(store):
    async with judge(store) as client:
        body = {"session_id": (await ask(client))["session_id"], "round_number": ROUND, "user_answer": right_answer()}
        stolen = await client.post("/submit-answer/", json=body | {"user_id": "QmThief"})
        assert stolen.status_code == 404
        assert (await client.post("/submit-answer/", json=body | {"user_id": "QmPeer"})).json() == {"score": 1.0}


async def test_the_leaderboard_tells_how_each_peer_did_and_is_kept_for_the_page(store):
    async with judge(store) as client:
        for number in range(4):
            for peer, answer in (("QmGood", right_answer(number)), ("QmBad", "no")):
                await submit(client, (await ask(client, peer, number))["session_id"], answer, number)
        told = (await client.get("/leaderboard/")).json()
        assert [(row["user_id"], row["exams"], row["pass_at_1"]) for row in told["rows"]] == [
            ("QmGood", 4, 1.0),
            ("QmBad", 4, 0.0),
        ]
        assert told["rows"][0]["low"] < 1 and told["rows"][1]["high"] > 0, "four exams prove little"
        results = (await client.get("/results/", params={"user_id": "QmGood"})).json()
        assert [(one["round"], one["score"]) for one in results] == [(n, 1.0) for n in range(4)]
        while (board := await exam_board(store)) is None or board.model_dump(mode="json") != told:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with judge(store) as client:
        assert (await client.get("/leaderboard/")).json() == told


async def test_the_wrong_round_is_404_and_does_not_use_the_session_up(store):
    async with judge(store) as client:
        session_id = (await ask(client))["session_id"]
        assert (await submit(client, session_id, "1", ROUND + 1)).status_code == 404
        assert (await submit(client, session_id, right_answer())).json() == {"score": 1.0}


async def test_a_session_expires(store):
    async with judge(store, "session_ttl_s=0.2") as client:
        session_id = (await ask(client))["session_id"]
        await asyncio.sleep(0.3)
        assert (await submit(client, session_id, right_answer())).status_code == 404


async def test_an_answer_outlives_a_restart_of_the_judge(store):
    async with judge(store) as client:
        session_id = (await ask(client))["session_id"]
    async with judge(store) as client:
        assert (await submit(client, session_id, right_answer())).json() == {"score": 1.0}


async def test_an_unknown_session_is_404():
    async with judge(MemoryStore()) as client:
        assert (await submit(client, "nobody", "1")).status_code == 404


async def test_a_taken_port_is_one_line_that_names_the_variable():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        context = Context(MemoryQueue(), MemoryStore(), Health("judge", "one", 60))
        with pytest.raises(SwarmError, match=rf"port {port} on 127.0.0.1 .* set JUDGE_PORT"):
            await run(settings(f"judge_port={port}"), context)


def test_the_process_serves_and_ends_with_zero_on_sigterm(redis_url):
    port = free_port()
    env = os.environ | {"REDIS_URL": redis_url, "JUDGE_PORT": str(port), "DATA_MIX": "easy"}
    with subprocess.Popen([sys.executable, "-m", "services.judge"], env=env) as process:
        url, until = f"http://127.0.0.1:{port}/current_clue/", time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                assert httpx.get(url).json()["game_id"] == -1
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
