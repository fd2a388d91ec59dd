"""Intervals: against published figures, at the ends, and on what they are for."""

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.estimates import difference, mean, rate


@pytest.mark.parametrize(
    ("passed", "asked", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, Stat. Med. 17, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(passed, asked, low, high):
    found = rate([True] * passed + [False] * (asked - passed))
    assert found.value == passed / asked
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


@given(some.lists(some.booleans(), min_size=1, max_size=60))
def test_a_rate_lies_in_its_interval_and_that_between_0_and_1(passed):
    found = rate(passed)
    assert 0.0 <= found.low <= found.value + 1e-12 and found.value - 1e-12 <= found.high <= 1.0


def test_the_bootstrap_agrees_with_the_normal_law_where_that_holds():
    random = Random(1)
    values = [random.random() for _ in range(400)]
    found = mean(values, Random(2))
    reach = 1.96 * (1 / 12 / 400) ** 0.5
    assert found.value == pytest.approx(fmean(values))
    assert (found.low, found.high) == (
        pytest.approx(found.value - reach, abs=0.004),
        pytest.approx(found.value + reach, abs=0.004),
    )
    assert mean(values, Random(2)) == found


def test_a_difference_looks_at_the_same_question_twice():
    before = [k / 100 for k in range(100)]
    gained = difference(before, [value + 0.1 for value in before], Random(3))
    assert (gained.value, gained.low, gained.high) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1))


def test_nothing_asked_and_unequal_questions_are_errors():
    for wrong in (lambda: rate([]), lambda: mean([], Random(0)), lambda: difference([0.1], [], Random(0))):
        with pytest.raises(ValueError, match=r"nothing|shorter"):
            wrong()
