"""Which groups each pick takes, and what it remembers."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.learning.picks import KEPT_GROUPS, KEPT_STEPS, PICKS, Memory, Offer
from services.trainer.learning.rollout import Scored
from shared.messages import Completion
from tests.examples import ALICE, BOB, QUESTION


def group(author: str, *earned: float) -> Scored:
    completions = tuple(Completion(text=f"{author}{k}", finished=True) for k in range(len(earned)))
    return Scored(author, QUESTION, completions, tuple(earned))


def groups(author: str, good: int, flat: int = 0) -> list[Scored]:
    return [group(author, 0.0, (k + 1) / 100) for k in range(good)] + [group(author, 1.0, 1.0)] * flat


def authors(batch: list[Scored]) -> str:
    return "".join("a" if one.author == ALICE else "b" for one in batch)


sizes = st.integers(0, 12)


@pytest.mark.parametrize("name", PICKS)
@given(sizes, sizes, st.integers(0, 8), st.integers(0, 8), st.integers(0, 99))
def test_every_pick_is_pure_fills_the_batch_and_takes_nothing_flat(name, ours, theirs, i, j, seed):
    offer = Offer(groups(ALICE, ours, flat=2), groups(BOB, theirs, flat=2), i, j, step=1)
    one, same = (PICKS[name](offer, Memory(), Random(seed)) for _ in range(2))
    assert one == same
    assert len(one.batch) == min(i + j, ours + (theirs if j else 0))
    assert all(picked.informative for picked in one.batch)
    assert len({(picked.author, picked.rewards) for picked in one.batch}) == len(one.batch)


@pytest.mark.parametrize("name", PICKS)
def test_who_wants_nothing_of_others_gets_nothing(name):
    picked = PICKS[name](Offer(groups(ALICE, 1), groups(BOB, 9), 8, 0, step=1), Memory(), Random(0))
    assert authors(picked.batch) == "a"
    assert all(kept.group.author == ALICE for kept in picked.memory.kept)


@pytest.mark.parametrize("name", PICKS)
def test_a_memory_survives_being_written_down(name):
    local = [Scored(ALICE, QUESTION, group(ALICE, 0, 1).completions, (0.0, 1.0), tokens=((1, 2), (3,)))]
    memory = PICKS[name](Offer(local, groups(BOB, 3), 1, 1, step=7), Memory(), Random(0)).memory
    assert Memory.model_validate_json(memory.model_dump_json()) == memory


def test_the_widest_spread_comes_first():
    wide, narrow = group(BOB, 0.0, 1.0), group(BOB, 0.4, 0.5)
    for seed in range(20):
        picked = PICKS["informative"](Offer([], [narrow, wide], 0, 1, step=1), Memory(), Random(seed))
        assert picked.batch == [wide]


def test_equal_spreads_are_drawn_by_lot():
    offer = Offer([], [group(BOB, 0.0, 1.0), group(BOB, 1.0, 0.0)], 0, 1, step=1)
    firsts = {PICKS["informative"](offer, Memory(), Random(seed)).batch[0].rewards for seed in range(20)}
    assert len(firsts) == 2


def after(rounds: int, ours: list[Scored], theirs: list[Scored], i: int = 4, j: int = 4) -> tuple[str, Memory]:
    """Authors of the batch, and the memory, after so many equal rounds of `adaptive`."""
    memory, batch = Memory(), list[Scored]()
    for step in range(rounds):
        picked = PICKS["adaptive"](Offer(ours, theirs, i, j, step), memory, Random(step))
        batch, memory = picked.batch, picked.memory
    return authors(batch), memory


def test_i_and_j_follow_what_was_informative_within_bounds():
    rich_ours, rich_theirs = groups(ALICE, 8), groups(BOB, 8)
    assert after(20, rich_ours, rich_theirs)[0] == "aaaabbbb"
    assert after(20, rich_ours, groups(BOB, 8, flat=24))[0] == "aaaaaabb"
    assert after(20, groups(ALICE, 8, flat=24), rich_theirs)[0] == "aabbbbbb"
    assert after(20, rich_ours, rich_theirs, i=8, j=0)[0] == "aaaaaaaa"


def test_where_nothing_was_informative_i_and_j_stay():
    memory = Memory(local_share=0.0, external_share=0.0)
    offer = Offer([], [], 3, 5, step=1)
    assert PICKS["adaptive"](offer, memory, Random(0)).memory == memory
    assert after(400, groups(ALICE, 0, flat=9), groups(BOB, 0, flat=9))[0] == ""


def test_empty_places_are_taken_by_what_was_kept():
    kept = PICKS["replay"](Offer(groups(ALICE, 6), [], 2, 2, step=1), Memory(), Random(0)).memory
    assert len(kept.kept) == 6
    later = PICKS["replay"](Offer(groups(ALICE, 0, flat=8), groups(BOB, 1), 2, 2, step=2), kept, Random(0))
    assert authors(later.batch) == "baaa"
    full = PICKS["replay"](Offer(groups(ALICE, 4), groups(BOB, 4), 2, 2, step=2), kept, Random(0))
    assert authors(full.batch) == "aabb"


def test_what_is_kept_is_rare_recent_and_bounded():
    rare, common = group(BOB, 0, 0, 0, 1), group(BOB, 0, 1, 1, 1)
    memory = PICKS["replay"](Offer([], [common] * 20 + [rare] * 3, 0, 1, step=0), Memory(), Random(0)).memory
    assert len(memory.kept) == KEPT_GROUPS
    assert [kept.group for kept in memory.kept[:4]] == [rare] * 3 + [common]
    nothing = Offer([], [], 0, 1, step=KEPT_STEPS)
    assert PICKS["replay"](nothing, memory, Random(0)).memory == memory
    too_late = PICKS["replay"](Offer([], [], 0, 1, step=KEPT_STEPS + 1), memory, Random(0))
    assert (too_late.batch, too_late.memory.kept) == ([], ())


def test_what_nobody_signed_for_is_not_kept():
    strange = [replace(one, signed=False) for one in groups(BOB, 4)]
    picked = PICKS["replay"](Offer(groups(ALICE, 2), strange, 4, 4, step=1), Memory(), Random(0))
    assert authors(picked.batch) == "aabbbb"
    assert {kept.group.author for kept in picked.memory.kept} == {ALICE}
