"""Tokens in one row: nothing is lost or mixed up, and each sees what it may see."""

import torch
from hypothesis import given
from hypothesis import strategies as some

from services.trainer.forward.packing import Block, Pack

CPU = torch.device("cpu")


@given(some.lists(some.integers(min_value=0, max_value=5), max_size=6), some.integers(min_value=0, max_value=4))
def test_what_is_spread_into_a_rectangle_and_gathered_again_is_the_same_part_of_the_row(lengths, start):
    row = torch.arange(start + sum(lengths) + 1)[:, None] + 100
    block = Block.of(lengths, start, CPU)
    assert block.slots.shape == (len(lengths), max(lengths, default=0))
    assert torch.equal(block.gather(block.spread(row)), row[start : start + sum(lengths)])


def test_a_completion_goes_on_where_its_prompt_ends():
    pack = Pack([[5, 6, 7], [8]], [[1, 2], [], [3]], [0, 0, 1], CPU)
    assert pack.ids.tolist() == [5, 6, 7, 8, 1, 2, 3]
    assert pack.places.tolist() == [0, 1, 2, 0, 3, 4, 1]
    assert pack.ends.tolist() == [2, 3]


def seen_by(pack, token):
    """The tokens whose values reach a token's output, by their place in the row."""
    n = len(pack.ids)
    same = torch.ones(n, 1, 1)  # every key fits every query: attention is the mean of what may be seen
    found = pack.attend(0, same, same.clone(), torch.eye(n)[:, None])
    return {place for place in range(n) if found[token, 0, place] > 0}


def test_a_token_sees_its_own_prompt_and_what_comes_before_it_and_nothing_else():
    pack = Pack([[5, 6, 7], [8]], [[1, 2], [3], [4, 4]], [0, 0, 1], CPU)
    assert [seen_by(pack, token) for token in range(9)] == [
        {0},
        {0, 1},
        {0, 1, 2},
        {3},
        {0, 1, 2, 4},
        {0, 1, 2, 4, 5},
        {0, 1, 2, 6},
        {3, 7},
        {3, 7, 8},
    ]


def test_prompts_alone_are_a_row_too():
    pack = Pack([[5, 6], [7]], [], [], CPU)
    assert [seen_by(pack, token) for token in range(3)] == [{0}, {0, 1}, {2}]
