"""The judge's decisions: which question, what an answer is worth, what a request may hold."""

import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from services.judge.app import build_app
from services.judge.bank import FIRST_FIXED, FIXED, Bank, is_fixed
from services.judge.desk import MAX_PEERS, Desk, Full
from services.judge.exam import Exam
from services.judge.limits import MAX_BODY
from services.judge.records import MAX_OPEN, MAX_RESULTS, Result
from services.judge.settings import JudgeSettings
from shared.errors import SettingsError
from shared.queue.memory import MemoryStore
from shared.settings import load
from shared.tasks import Mix, TaskSet, is_held_out

ASK = {"user_id": "QmPeer", "round_number": 3, "model_name": "tiny"}
ANSWER = {"session_id": "x", "round_number": 3, "user_answer": "1"}


@pytest.fixture(scope="module", params=["easy", "six", "nine"])
def bank(request):
    return Bank(load("judge", JudgeSettings, [f"data={request.param}"]).data)


@pytest.fixture(scope="module")
def client():
    small = Bank(Mix(name="lcm", datasets=(TaskSet(name="lcm", weight=1),)))
    return TestClient(build_app(Exam(small, Desk(MemoryStore(), "lcm", ttl_s=60, bound=5))))


def right_answer(bank, number):
    return bank._entry(number)["answer"]


def desk(store=None, bank="easy", bound=99):
    return Desk(store or MemoryStore(), bank, ttl_s=60, bound=bound)


async def opened(on, peer="a", number=1, now=100.0):
    return await on.open(peer, "m", number, now, number)


def test_no_round_is_asked_what_trainers_learn_from(bank):
    rounds = [*range(100), 2**63 - 1]
    assert all(is_held_out(bank.question(bank.pick(number))) for number in rounds)
    assert not any(is_held_out(bank._deck.training(number)["question"]) for number in rounds[:-1])


def test_two_banks_of_a_mix_ask_the_same_question_in_the_same_round(bank):
    rounds = [*range(20), 2**63 - 1]
    twin = Bank(load("judge", JudgeSettings, [f"data={bank.name}"]).data)
    asked = [bank.question(bank.pick(number)) for number in rounds]
    assert asked == [twin.question(twin.pick(number)) for number in reversed(rounds)][::-1]
    assert len(set(asked)) > 10


@pytest.mark.parametrize("step", [1, 5, 10])
def test_about_half_of_the_exams_are_of_the_fixed_set_however_often_they_are(bank, step):
    asked = [bank.pick(number) for number in range(0, 200 * step, step)]
    assert 60 <= sum(map(is_fixed, asked)) <= 140
    assert all(0 <= number < FIRST_FIXED + FIXED for number in asked)


def test_a_question_that_was_answered_is_not_asked_again(bank):
    answered = set()
    for number in range(40):
        place = bank.pick(number, answered)
        assert bank.id_of(place) not in answered
        answered.add(bank.id_of(place))
    again = bank.pick(39, answered)
    assert not is_fixed(again) and bank.id_of(again) not in answered


def test_a_bank_with_nothing_new_asks_an_old_question():
    class Everything:
        def __contains__(self, _):
            return True

    small = Bank(Mix(name="lcm", datasets=(TaskSet(name="lcm", weight=1),)))
    assert small.pick(3, Everything()) == small.pick(3)


def test_the_right_answer_is_worth_one_with_and_without_tags(bank):
    number = next(n for n in range(50) if right_answer(bank, n) is not None)
    right = right_answer(bank, number)
    assert bank.score(number, right) == 1
    assert bank.score(number, f"I think <answer>0</answer>, no: <answer> {right} </answer>") == 1


@pytest.mark.parametrize("hostile", ["", "\0", "<answer></answer>", "nan", "1" * 20_000, "[" * 20_000, "((((1" * 900])
def test_hostile_text_is_worth_little_and_breaks_nothing(bank, hostile):
    assert all(0 <= bank.score(number, hostile) < 1 for number in range(20))


def test_a_mix_with_an_unknown_generator_is_a_settings_error_that_names_the_file():
    with pytest.raises(SettingsError, match=r"config/data/wrong\.yaml"):
        Bank(Mix(name="wrong", datasets=(TaskSet(name="no_such_generator", weight=1),)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": ""},
        {"user_id": "x" * 129},
        {"round_number": -1},
        {"round_number": 2**63},
        {"round_number": "soon"},
        {"model_name": "x" * 257},
        {"model_name": None},
    ],
)
def test_a_question_request_out_of_bounds_is_422(client, wrong):
    assert client.post("/request-question/", json=ASK | wrong).status_code == 422


@pytest.mark.parametrize(
    "wrong", [{"session_id": "../x"}, {"session_id": "x" * 65}, {"round_number": -1}, {"user_answer": "x" * 20_001}]
)
def test_an_answer_out_of_bounds_is_422(client, wrong):
    assert client.post("/submit-answer/", json=ANSWER | wrong).status_code == 422


@pytest.mark.parametrize("value", ["NaN", '"\\ud800"', "1e999", "9" * 5_000])
def test_what_json_can_hold_but_text_cannot_is_refused_and_no_crash(client, value):
    body = f'{{"session_id": "x", "round_number": 3, "user_answer": {value}}}'
    answer = client.post("/submit-answer/", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)  # 400: a number that Python itself refuses to read


def test_a_body_above_the_bound_is_413_announced_or_not(client):
    large = b" " * (MAX_BODY + 1)
    assert client.post("/submit-answer/", content=large).status_code == 413
    assert client.post("/submit-answer/", content=iter([large[:MAX_BODY], large[:9]])).status_code == 413


def test_no_game_is_on(client):
    clue = client.get("/current_clue/").json()
    assert clue["game_id"] == clue["clue_id"] == clue["rounds_remaining"] == -1


def test_at_the_bound_of_open_sessions_the_judge_says_when_to_come_back(client):
    asks = [ASK | {"user_id": f"Qm{n}"} for n in range(6)]
    assert [client.post("/request-question/", json=ask).status_code for ask in asks] == [200] * 5 + [503]
    assert client.post("/request-question/", json=asks[5]).headers["retry-after"]
    assert client.post("/request-question/", json=asks[0]).status_code == 200, "the same session again takes no room"


@pytest.mark.parametrize("wrong", ["", "?user_id=", "?user_id=" + "x" * 129])
def test_results_of_nobody_are_422(client, wrong):
    assert client.get(f"/results/{wrong}").status_code == 422


async def test_room_comes_back_when_sessions_expire():
    on = desk(bound=1)
    await opened(on)
    with pytest.raises(Full):
        await opened(on, "b", now=159.0)
    assert (await opened(on, "b", now=160.0)).number == 1


async def test_another_banks_session_is_unknown():
    store = MemoryStore()
    session = await opened(desk(store))
    other, same = desk(store, "six"), desk(store)
    await other.load()
    await same.load()
    assert other.take(session.session_id, 1, 101.0) is None
    assert same.take(session.session_id, 1, 101.0) == ("a", session)


async def test_a_record_that_cannot_be_read_is_none():
    store = MemoryStore()
    await store.put("judge:record:easy:a", "{}")
    on = desk(store)
    await on.load()
    assert on.records == []


async def test_a_peer_has_few_questions_open_at_a_time_and_a_bounded_record():
    on = desk()
    sessions = [await opened(on, number=n) for n in range(MAX_OPEN + 1)]
    assert on.take(sessions[0].session_id, 0, 101.0) is None
    for n in range(1, MAX_RESULTS + 5):
        await on.close("a", sessions[-1], Result(n, f"q{n}", False, 1.0))
    assert len(on.record("a").results) == MAX_RESULTS and not on.record("a").has_answered(4)


async def test_at_the_bound_the_peer_that_waits_for_nothing_goes_and_no_other():
    store = MemoryStore()
    on = desk(store, bound=2 * MAX_PEERS)
    for n in range(MAX_PEERS):
        await opened(on, f"p{n}", n)
    with pytest.raises(Full):
        await opened(on, "new", 1)
    quiet = on.record("p7").open[0]
    on.take(quiet.session_id, 7, 101.0)
    await on.close("p7", quiet, None)
    await opened(on, "new", 1)
    assert len(on.records) == MAX_PEERS and await store.get("judge:record:easy:p7") is None


def test_the_judge_imports_no_torch():
    code = "import services.judge.service, sys; print(*{'torch', 'web3', 'hivemind'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == ""
