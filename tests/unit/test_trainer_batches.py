from hypothesis import given
from hypothesis import strategies as st

from services.trainer.learning.advantages import batch_advantages
from services.trainer.learning.batches import Batch, spans

owners = st.lists(st.integers(1, 9), max_size=6).map(
    lambda sizes: [g for g, size in enumerate(sizes) for _ in range(size)]
)


@given(owners, st.integers(0, 7), st.integers(0, 9))
def test_every_row_passes_once_and_in_order_and_no_micro_batch_is_too_large(owner, groups, completions):
    found = spans(owner, groups, completions)
    assert [row for span in found for row in span] == list(range(len(owner)))
    assert all(len(span) for span in found)
    if groups:
        assert all(len({owner[row] for row in span}) <= groups for span in found)
    if completions:
        assert all(len(span) <= completions for span in found)
    if not groups and not completions:
        assert len(found) <= 1


def test_groups_stay_together_where_there_is_room_and_are_split_where_there_is_none():
    owner = [0, 0, 0, 1, 1, 1, 2]
    assert spans(owner, 2, 0) == [range(6), range(6, 7)]
    assert spans(owner, 1, 2) == [range(2), range(2, 3), range(3, 5), range(5, 6), range(6, 7)]
    assert spans([], 1, 1) == []


def test_a_part_of_a_batch_brings_only_the_prompts_it_needs():
    batch = Batch([[1], [2], [3]], [[4], [5], [6], [7]], [0, 1, 2, 2], [0.5, -0.5, 0.0, 1e-17], [None] * 4)
    part = batch.part([1, 3])
    assert (part.prompts, part.completions, part.owner, part.old) == ([[2], [3]], [[5], [7]], [0, 1], [None] * 2)
    assert batch.teaching().completions == [[4], [5]]
    assert Batch([[1]], [[2]], [0], [1.0]).part([0]).old == ()
    assert part.since(old := [None, None]).old is old


def test_a_whole_batch_can_share_one_deviation():
    groups = [[1.0, 0.0], [0.5, 0.5]]
    assert batch_advantages(groups, "none") == [0.5, -0.5, 0.0, 0.0]
    assert [round(a, 3) for a in batch_advantages(groups, "group")] == [0.707, -0.707, 0.0, 0.0]
    assert [round(a, 3) for a in batch_advantages(groups, "batch")] == [1.224, -1.224, 0.0, 0.0]
    assert batch_advantages([[0.3]], "batch") == [0.0]
