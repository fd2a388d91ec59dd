"""What fits into how much memory, for the shape of Qwen3-0.6B."""

from dataclasses import replace

import pytest

from services.trainer.model.fitting import SAFE, Wish, plan
from services.trainer.model.footprint import GIB
from services.trainer.model.models import SMALL

SHAPE = next(one.shape for one in SMALL if one.name == "Qwen/Qwen3-0.6B")
WISH = Wish(
    max_new_tokens=512, completions=8, groups=8, questions=8, micro_groups=1, shorter=True, smaller=True, recompute=None
)


def planned(gib, wish=WISH, **named):
    found = plan(SHAPE, int(gib * GIB), 0, wish, **named)
    sizes = found.max_new_tokens, found.micro_groups, found.micro_completions, found.questions
    return *sizes, found.recompute, found.fits


@pytest.mark.parametrize(
    ("gib", "expected"),
    [
        (400, (512, 0, 0, 8, False, True)),  # everything at once, and every layer's work kept
        (80, (512, 0, 0, 8, True, True)),
        (24, (512, 4, 0, 8, True, True)),
        (18, (512, 2, 0, 6, True, True)),  # and while sampling, the cache of six questions
        (14, (512, 1, 0, 3, True, True)),
        (12, (512, 1, 2, 2, True, True)),  # two of a group's eight completions at once
        (11.5, (512, 1, 1, 1, True, True)),
        (4, (128, 1, 1, 1, True, False)),
    ],
)
def test_the_longest_answers_and_then_the_largest_pass_that_fit(gib, expected):
    assert planned(gib) == expected


def test_more_memory_never_gives_less_and_all_that_fits_stays_below_it():
    before = (0, 0, 0)
    for gib in range(4, 200, 2):
        found = plan(SHAPE, gib * GIB, 0, WISH)
        at_once = found.micro_completions or 8 * (found.micro_groups or 8)
        now = (found.max_new_tokens, at_once, found.questions)
        assert now[:2] >= before[:2]
        assert not found.fits or found.needs <= SAFE * gib * GIB
        before = now


def test_what_the_user_set_is_not_changed():
    assert planned(11, replace(WISH, shorter=False)) == (512, 1, 1, 1, True, False)
    assert planned(80, replace(WISH, recompute=False))[1:5] == (2, 0, 8, False)
    assert planned(400, replace(WISH, recompute=True))[4]
    assert planned(400, replace(WISH, smaller=False))[1] == 1
    assert planned(400, replace(WISH, smaller=False, micro_groups=0))[1] == 0


def test_a_probe_that_finds_more_makes_passes_smaller():
    assert planned(24, factor=2.0)[:2] == (512, 2)
    assert planned(13, factor=2.0)[:3] == (512, 1, 2)


def test_what_the_process_holds_beside_the_model_counts_and_half_the_width_takes_less():
    assert plan(SHAPE, 80 * GIB, 36 * GIB, WISH) == plan(SHAPE, 40 * GIB, 0, WISH)
    assert planned(18, width=2)[1] == 2 * planned(18)[1]
