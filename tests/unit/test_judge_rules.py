"""What the judge decides without looking around: when to leave an upstream judge alone, and who leads the board."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.judge.breaker import FAILURES, MAX_S, PAUSE_S, TRY_S, Breaker
from services.judge.records import MAX_OPEN, Open, Record, Result, leaderboard


def broken(times, now=0.0):
    breaker = Breaker()
    for _ in range(times):
        breaker = breaker.failed(now)
    return breaker


def session(number, expires_at=100.0):
    return Open(session_id=f"s{number}", round_number=number, number=number, expires_at=expires_at)


def record(peer, *scores, fixed=False):
    return Record(user_id=peer, results=tuple(Result(n, f"q{n}", fixed, score) for n, score in enumerate(scores)))


def test_a_judge_that_fails_now_and_then_is_still_asked():
    assert broken(FAILURES - 1).state(0.0) == "closed"
    assert broken(FAILURES - 1).worked().failed(0.0).state(0.0) == "closed"


def test_after_failures_in_a_row_it_is_left_alone_for_a_while():
    breaker = broken(FAILURES)
    assert breaker.state(PAUSE_S - 0.1) == "open"
    assert breaker.state(PAUSE_S) == "half-open"


def test_then_one_request_tries_and_no_other_until_it_is_over():
    trying = broken(FAILURES).begun(PAUSE_S)
    assert trying.state(PAUSE_S + TRY_S - 0.1) == "open"
    assert trying.state(PAUSE_S + TRY_S) == "half-open", "one that never came back keeps nobody out for ever"
    assert trying.worked().state(PAUSE_S) == "closed"
    assert Breaker().begun(5.0) == Breaker()


@given(st.integers(FAILURES, 10_000))
def test_each_failed_try_doubles_the_pause_up_to_a_bound(times):
    breaker = broken(times)
    assert breaker.until == pytest.approx(min(MAX_S, PAUSE_S * 2 ** min(times - FAILURES, 16)))


def test_one_lucky_exam_leads_nobody_to_the_top():
    rows = leaderboard([record("lucky", 1.0), record("steady", *[1.0] * 18, 0.0, 0.4), Record(user_id="new")], 10)
    assert [(row.user_id, row.exams) for row in rows] == [("steady", 20), ("lucky", 1)]
    assert rows[0].pass_at_1 == 0.9 and rows[0].mean_score == pytest.approx(0.92) and rows[0].round == 19
    assert rows[0].fixed_pass_at_1 is None and rows[0].fixed_exams == 0


def test_the_fixed_set_is_told_apart_and_the_board_is_cut():
    (row,) = leaderboard([record("a", 1.0, 0.0, fixed=True), record("b", 0.0)], 1)
    assert (row.user_id, row.fixed_exams, row.fixed_pass_at_1) == ("a", 2, 0.5)


def test_a_record_knows_what_is_open_and_what_was_answered():
    asked = Record(user_id="a").asked(session(1), "m").asked(session(2), "m2")
    assert asked.model_name == "m2"
    assert asked.open_in(1, 99.0) == session(1)
    assert asked.open_in(1, 100.0) is None and asked.open_in(3, 0.0) is None
    answered = asked.answered(session(1), Result(1, "q1", False, 0.5))
    assert answered.open == (session(2),) and answered.has_answered(1) and not answered.has_answered(2)
    assert answered.questions == {"q1"}
    assert answered.gone(session(2)).open == ()


def test_of_too_many_open_questions_the_oldest_goes():
    asked = Record(user_id="a")
    for n in range(MAX_OPEN + 3):
        asked = asked.asked(session(n), "m")
    assert [one.round_number for one in asked.open] == list(range(3, MAX_OPEN + 3))
