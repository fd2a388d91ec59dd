"""When the publisher looks, which checkpoint it takes, and what a token lets it do."""

import pytest

from services.publisher.account import Refused, account_of
from services.publisher.evaluation import evaluation_of, told
from services.publisher.schedule import FIRST_PAUSE_S, LONGEST_PAUSE_S, Course, Pending
from tests.hub_server import READ, WRITE, fine_grained
from tests.publisher_kit import ORIGIN

COURSE = Course(looked_round=10, looked_at=1_000.0)


@pytest.mark.parametrize(
    ("number", "minutes_later", "every_rounds", "every_minutes", "due"),
    [
        (10, 999, 1, 1.0, False),  # nothing new
        (11, 0, 1, None, True),
        (14, 999, 5, None, False),
        (15, 0, 5, None, True),
        (11, 59, None, 60.0, False),
        (11, 60, None, 60.0, True),
        (20, 1, 5, 60.0, True),  # whichever comes first
        (11, 61, 5, 60.0, True),
        (0, 61, None, 60.0, True),  # another swarm, which counts from 0
        (3, 0, 5, None, False),
        (4, 0, 5, None, True),
    ],
)
def test_a_checkpoint_is_looked_at_after_enough_rounds_or_minutes(
    number, minutes_later, every_rounds, every_minutes, due
):
    assert COURSE.is_due(number, 1_000.0 + 60 * minutes_later, every_rounds, every_minutes) is due


def test_only_a_better_one_takes_the_place_of_what_is_there():
    assert COURSE.is_better(None) and COURSE.is_better(0.1), "there is none yet"
    pending = COURSE.model_copy(update={"pending": Pending(round=10, score=0.5, folder="round-10")})
    assert [pending.is_better(score) for score in (0.4, 0.5, 0.51, None)] == [False, False, True, True]
    there = pending.done("c0ffee", 2_000.0)
    assert (there.pending, there.published.score, there.published.commit) == (None, 0.5, "c0ffee")
    assert (there.is_better(0.5), there.is_better(0.6)) == (False, True)
    assert there.done("again", 3_000.0) == there, "nothing is pending"
    assert COURSE.looked(12, 5.0).looked_round == 12


def test_failed_uploads_are_tried_later_each_time_and_a_success_forgets_them():
    course, pauses = COURSE.model_copy(update={"pending": Pending(round=1, score=None, folder="x")}), []
    for _ in range(20):
        course = course.failed(100.0)
        pauses.append(course.retry_at - 100.0)
    assert pauses[0] == FIRST_PAUSE_S and pauses == sorted(pauses) and pauses[-1] == LONGEST_PAUSE_S
    assert (course.done("c", 1.0).failures, course.done("c", 1.0).retry_at) == (0, 0.0)


def whoami(scope, orgs=()):
    return {"name": "me", "orgs": [{"name": name} for name in orgs], "auth": {"accessToken": scope}}


def test_a_token_that_may_write_writes_to_its_user_or_to_the_organisation_asked_for():
    assert account_of(whoami(WRITE), None).owner == "me"
    assert account_of(whoami(WRITE, ["ours"]), "ours").owner == "ours"
    assert account_of(whoami(fine_grained("repo.content.read", "repo.write")), None).owner == "me"
    assert account_of(whoami(fine_grained("repo.write", name="ours"), ["ours"]), "ours").owner == "ours"


@pytest.mark.parametrize(
    ("found", "owner", "cause"),
    [
        (whoami(READ), None, "read-only"),
        (whoami(fine_grained("repo.content.read")), None, "without the right to write to me's"),
        (whoami(fine_grained("repo.write", name="ours"), ["ours"]), None, "without the right to write to me's"),
        (whoami({"role": "fineGrained"}), None, "without the right"),
        (whoami(WRITE), "strangers", "not part of strangers"),
        ({"name": "me"}, None, "without the right"),
    ],
)
def test_a_token_that_may_not_is_refused_with_the_reason(found, owner, cause):
    with pytest.raises(Refused, match=cause):
        account_of(found, owner)


def test_an_evaluation_is_told_the_checkpoints_own_settings():
    found = told(ORIGIN)
    assert (found["MODEL_NAME"], found["MAX_NEW_TOKENS"], found["TEMPERATURE"]) == ("Qwen/Qwen3-0.6B", "512", "1.0")
    assert (found["DATA_FILE"], found["DATA_SCORER"]) == ("train.jsonl", "number")
    bare = ORIGIN.model_copy(update={"data": {"name": "x", "datasets": [{"name": "lcm", "weight": 1}]}})
    assert "DATA_FILE" not in told(bare)


def test_what_is_no_evaluation_is_not_taken_for_one():
    for text in ("{}", "[]", '{"models": []}', "no JSON"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            evaluation_of(text)
