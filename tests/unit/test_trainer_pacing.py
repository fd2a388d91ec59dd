"""A slow node asks as many questions as it has time for. Times are numbers here: nothing waits."""

from random import Random

import pytest

from services.trainer.pacing import LAPS, Lap, Pace

LAP = Lap(question_s=2.0, group_s=0.5, save_s=1.0)
MOST, GROUPS = 8, 8


@pytest.mark.parametrize(
    ("left_s", "questions"), [(300, 8), (30, 8), (20, 5), (12, 2), (9, 1), (5, 1), (0, 1), (-7, 1)]
)
def test_a_round_gets_as_many_questions_as_fit_and_never_none(left_s, questions):
    # Of 20 s, 16 are planned for; learning from 8 groups and saving take 5; 11 s hold 5 questions.
    assert Pace(laps=(LAP,)).questions(left_s, most=MOST, groups=GROUPS) == questions


def test_before_anything_is_known_all_questions_are_asked():
    assert Pace().questions(0.1, most=MOST, groups=GROUPS) == MOST
    assert Pace().learning_s(GROUPS) == 0


def test_the_slowest_of_the_last_rounds_counts_and_older_ones_are_forgotten():
    pace = Pace(laps=(LAP.model_copy(update={"question_s": 10.0}),))
    assert pace.questions(25, most=MOST, groups=0) == 1
    for _ in range(LAPS):
        pace = pace.after(LAP, lasted_s=None, limit_s=20)
    assert len(pace.laps) == LAPS
    assert pace.questions(25, most=MOST, groups=0) == 8


def test_time_runs_to_the_deadline_or_to_where_rounds_were_over_before():
    assert Pace().left_s(opened_at=100, deadline=120, now=105) == 15
    pace = Pace().after(LAP, lasted_s=10.0, limit_s=20)
    assert pace.open_s == pytest.approx(7.0)
    assert pace.left_s(opened_at=100, deadline=120, now=105) == pytest.approx(2.0)
    again = pace.after(LAP, lasted_s=10.0, limit_s=20)
    assert again.open_s == pytest.approx(4.9)  # missed once more: less
    in_time = again.after(LAP, lasted_s=None, limit_s=20)
    assert again.open_s < in_time.open_s < 20  # others wait for who votes
    for _ in range(9):
        in_time = in_time.after(LAP, lasted_s=None, limit_s=20)
    assert in_time.open_s is None


def rounds(seed, *, sized, quorum_s=None):
    """Share of 200 rounds in which a node slower than the deadline is through in time; and how many it asks.

    Seconds of n questions: 0.5 + 1.5 n, of an update 1.6, each a fifth more or less; the round is open for 10 s, or,
    to who did not vote in the three before, for `quorum_s` only. A round that is missed takes time of the next.
    """
    random, pace, in_time, asked, late_s, voted = Random(seed), Pace(), 0, 0, 0.0, [True] * 3
    for _ in range(200):
        open_s = 10.0 if quorum_s is None or any(voted[-3:]) else quorum_s
        if late_s >= open_s:  # never saw it: it was over
            late_s -= open_s
            voted.append(False)
            continue
        left_s = pace.left_s(0, 10.0, late_s)
        n = pace.questions(left_s, most=MOST, groups=GROUPS) if sized else MOST
        question_s = (0.5 + 1.5 * n) * random.uniform(0.8, 1.2) / n
        group_s = 0.2 * random.uniform(0.8, 1.2)
        end_s = late_s + n * question_s + 8 * group_s
        late = end_s > open_s
        lap = Lap(question_s=question_s, group_s=group_s, save_s=0.0)
        pace = pace.after(lap, lasted_s=open_s if late else None, limit_s=10.0)
        late_s = max(0.0, end_s - open_s)
        voted.append(not late)
        in_time, asked = in_time + (not late), asked + n
    return in_time / 200, asked / 200


@pytest.mark.parametrize("seed", range(5))
def test_a_node_too_slow_for_all_questions_is_in_time_in_95_of_100_rounds(seed):
    share, asked = rounds(seed, sized=True)
    assert share >= 0.95
    assert asked > 2  # and no lazier than it has to be
    assert rounds(seed, sized=False)[0] < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_who_is_not_waited_for_becomes_quick_enough_to_be_waited_for(seed):
    share, _ = rounds(seed, sized=True, quorum_s=4.5)
    assert share >= 0.9
    assert rounds(seed, sized=False, quorum_s=4.5)[0] < 0.05
