"""Questions to the model, from the route to the last piece of the answer."""

import json

import pytest

from services.identity import asks
from services.identity.web import ask as ask_route
from shared.asks import Ask, Piece
from shared.names import name_of
from shared.streams import ANSWERS, ASKS
from tests.identity_kit import ME, browser_of, parts_of, sign_up


@pytest.fixture
async def parts(tmp_path):
    made = parts_of(tmp_path)
    yield made
    made.accounts.close()


@pytest.fixture
async def owner(parts):
    async with browser_of(parts) as client:
        client.headers["X-CSRF-Token"] = await sign_up(client)
        yield client


def piece(id_, place, text="", done=False, **changes):
    return Piece(ask=id_, place=place, peer_id=ME, round=7, text=text, done=done, **changes)


async def test_an_answer_comes_in_pieces_to_who_asked(parts, owner):
    id_ = (await owner.post("/api/ask", json={"question": "  What is 3 * 7? "})).json()["id"]
    (delivery,) = await parts.context.queue.receive(ASKS, "one")
    assert (delivery.message.id, delivery.message.question) == (id_, "What is 3 * 7?")
    for told in (piece("f" * 32, 0, "of another"), piece(id_, 0, "It is \u202e"), piece(id_, 1, "21", done=True)):
        await parts.context.queue.publish(ANSWERS, told)
    answer = await owner.get(f"/api/ask/{id_}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [(event["text"], event["done"]) for event in events] == [("It is �", False), ("21", True)]
    assert (events[0]["name"], events[0]["round"]) == (name_of(ME), 7)
    assert (await owner.get(f"/api/ask/{id_}/events")).status_code == 404


async def test_one_question_at_a_time_until_it_is_answered(parts, owner):
    id_ = (await owner.post("/api/ask", json={"question": "?"})).json()["id"]
    again = await owner.post("/api/ask", json={"question": "?"})
    assert (again.status_code, again.headers["retry-after"]) == (429, "5")
    await parts.context.queue.publish(ANSWERS, piece(id_, 0, done=True))
    assert (await owner.post("/api/ask", json={"question": "?"})).status_code == 200


async def test_at_the_bound_of_questions_another_is_told_to_come_back(parts, owner):
    for number in range(ASKS.bound):
        await parts.context.queue.publish(ASKS, Ask(id=f"{number:032x}", at=1.0, question="?"))
    for _ in range(2):  # the one that was refused is not in the way of the next
        refused = await owner.post("/api/ask", json={"question": "?"})
        assert (refused.status_code, refused.json()["detail"]) == (429, "too many questions wait for a trainer")


async def test_when_nobody_answers_the_wait_ends(parts, owner, monkeypatch):
    monkeypatch.setattr(asks, "LIMIT_S", 0.05)
    monkeypatch.setattr(asks, "WAIT_S", 0.02)
    id_ = (await owner.post("/api/ask", json={"question": "?"})).json()["id"]
    answer = (await owner.get(f"/api/ask/{id_}/events")).text
    assert ask_route.SILENT in answer
    assert (await owner.post("/api/ask", json={"question": "?"})).status_code == 200


async def test_a_question_that_nobody_followed_is_let_go_after_its_time(parts, owner, monkeypatch):
    monkeypatch.setattr(asks, "LIMIT_S", 0.0)
    for _ in range(3):
        assert (await owner.post("/api/ask", json={"question": "?"})).status_code == 200


async def test_many_sessions_cannot_ask_without_bound(parts, owner, monkeypatch):
    monkeypatch.setattr(asks, "MAX_PENDING", 1)
    await parts.asks.ask(parts.context.queue, "another session", "?")
    assert (await owner.post("/api/ask", json={"question": "?"})).status_code == 429


async def test_anothers_answer_is_not_shown(parts, owner):
    id_ = await parts.asks.ask(parts.context.queue, "another session", "?")
    assert (await owner.get(f"/api/ask/{id_}/events")).status_code == 404
    assert (await owner.get("/api/ask/xyz/events")).status_code == 422


@pytest.mark.parametrize("question", ["", "   ", "x" * 4_001])
async def test_a_question_has_a_length(owner, question):
    assert (await owner.post("/api/ask", json={"question": question})).status_code == 422
