"""The trainer's decisions: advantages, mixing, votes, when an exchange is over."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.exchange import PeerFeed, Want, chosen, count, is_enough
from services.trainer.learning.advantages import advantages, informative
from services.trainer.learning.mixing import mix, points, winners, within
from services.trainer.learning.rollout import Scored, source_of
from shared.messages import Completion, Group, Rollouts, Round
from shared.queue.memory import MemoryQueue
from shared.streams import ROLLOUTS_PEER
from shared.tasks import seed_of
from tests.examples import ALICE, BOB, QUESTION

rewards = st.lists(st.floats(0, 1), min_size=2, max_size=16)


def group(author: str, *earned: float) -> Scored:
    completions = tuple(Completion(text=str(k), finished=True) for k in range(len(earned)))
    return Scored(author, QUESTION, completions, tuple(earned))


def groups(author: str, good: int, flat: int = 0) -> list[Scored]:
    return [group(author, 0.0, (k + 1) / 100) for k in range(good)] + [group(author, 1.0, 1.0)] * flat


@given(rewards, st.booleans())
def test_advantages_sum_to_zero_and_keep_the_order(earned, scale):
    values = advantages(earned, scale=scale)
    assert sum(values) == pytest.approx(0, abs=1e-6 if not scale else 1e-3)
    assert sorted(range(len(earned)), key=lambda k: (earned[k], k)) == sorted(
        range(len(earned)), key=lambda k: (values[k], earned[k], k)
    )


def test_advantages_are_the_published_formula():
    assert advantages([1, 0, 0, 0], scale=False) == [0.75, -0.25, -0.25, -0.25]
    assert advantages([1, 0, 0, 0], scale=True) == pytest.approx([0.75 / 0.5001, *[-0.25 / 0.5001] * 3])
    assert advantages([0.5], scale=True) == [0.0]


def test_a_group_of_equal_rewards_teaches_nothing():
    assert not informative([0.3, 0.3, 0.3])
    assert informative([0.3, 0.3, 0.31])


def test_a_batch_is_i_own_groups_and_j_of_others():
    batch = mix(groups(ALICE, 8), groups(BOB, 8), 4, 4, Random(0))
    assert [g.author for g in batch] == [ALICE] * 4 + [BOB] * 4


def test_flat_groups_are_left_out():
    batch = mix(groups(ALICE, 1, flat=7), groups(BOB, 2, flat=6), 4, 4, Random(0))
    assert [g.author for g in batch] == [ALICE, BOB, BOB]
    assert mix(groups(ALICE, 0, flat=8), [], 4, 4, Random(0)) == []


def test_where_one_side_has_too_few_the_other_fills_up():
    assert [g.author for g in mix(groups(ALICE, 8), [], 4, 4, Random(0))] == [ALICE] * 8
    assert [g.author for g in mix(groups(ALICE, 1), groups(BOB, 9), 4, 4, Random(0))] == [ALICE] + [BOB] * 7


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 8), st.integers(0, 8), st.integers(0, 99))
def test_a_batch_never_exceeds_its_size_and_repeats_nothing(ours, theirs, i, j, seed):
    batch = mix(groups(ALICE, ours), groups(BOB, theirs), i, j, Random(seed))
    assert len(batch) == min(i + j, ours + (theirs if j else 0))  # J = 0: nothing is taken from others
    assert len({(g.author, g.rewards) for g in batch}) == len(batch)


def test_external_groups_are_drawn_uniformly():
    counts = dict.fromkeys(range(1, 5), 0)
    for seed in range(2000):
        (one,) = mix([], groups(BOB, 4), 0, 1, Random(seed))
        counts[round(one.rewards[1] * 100)] += 1
    assert all(400 < count < 600 for count in counts.values())


def test_the_vote_goes_to_the_best_mean_and_a_tie_to_the_lowest_id():
    assert winners([group(ALICE, 0.0, 1.0), group(BOB, 1.0, 1.0), group(BOB, 0.0, 0.2)]) == (BOB,)
    assert winners([group(BOB, 0.5), group(ALICE, 0.5)]) == (min(ALICE, BOB),)
    assert winners([]) == ()


def test_what_peers_get_is_text_and_no_rewards():
    assert group(ALICE, 0.0, 1.0).as_group().model_dump().keys() == {"question", "completions"}


def test_points_are_thousandths():
    assert [points(value) for value in (0, 0.2196, 1, -0.5)] == [0, 220, 1000, -500]


WANT = Want(groups=4, peers=64, patience_s=2.0)


@pytest.mark.parametrize(
    ("informative", "heard", "expected", "waited_s", "over"),
    [
        (4, 2, 2, 0.0, True),  # all came, enough to learn from
        (3, 2, 2, 0.0, False),  # somebody new may still bring some
        (3, 2, 2, 2.1, True),  # nobody came who was not expected
        (9, 1, 2, 1.9, False),  # the other may still come
        (9, 1, 2, 2.1, True),  # enough without the other
        (3, 1, 2, 99.0, False),  # wait for the other, up to the deadline
        (0, 0, 0, 1.9, False),  # somebody may turn up
        (0, 0, 0, 2.1, True),  # alone
    ],
)
def test_when_an_exchange_is_over(informative, heard, expected, waited_s, over):
    assert is_enough(WANT, informative=informative, heard=heard, expected=expected, waited_s=waited_s) is over


@given(st.text(), st.text())
def test_a_seed_follows_from_its_words_and_fits_into_every_generator(one, other):
    assert seed_of(one) % 2 == 0 and 0 <= seed_of(one) < 2**31
    assert (seed_of(one) == seed_of(other)) == (one == other)


def unsigned(found: list[Scored]) -> list[Scored]:
    return [replace(one, signed=False) for one in found]


def test_of_what_nobody_signed_for_a_batch_is_offered_no_more_than_its_share():
    signed, strange = groups(ALICE, 3, flat=1), unsigned(groups(BOB, 5, flat=5))
    offered = within([*strange, *signed], 2, Random(0))
    assert offered[:4] == signed
    assert len(offered) == 6 and all(one.informative and not one.signed for one in offered[4:])
    assert within([*strange, *signed], 0, Random(0)) == signed
    assert len({within(strange, 1, Random(seed))[0].rewards for seed in range(40)}) == 5


def test_what_nobody_signed_for_wins_nothing_and_hurts_nobody():
    best = unsigned([group(BOB, 1.0, 1.0)])
    assert winners([group(ALICE, 0.0, 0.5), *best]) == (ALICE,)
    assert winners(best) == ()
    assert winners([group(ALICE, 0.0, 0.5), group(BOB, 1.0, 1.0), *unsigned([group(BOB, 0.0)] * 9)]) == (BOB,)


def test_what_nobody_signed_for_does_not_end_an_exchange_before_its_time():
    assert count([*groups(ALICE, 2, flat=3), *unsigned(groups(BOB, 5))], 1) == 3
    assert count(unsigned(groups(BOB, 5)), 0) == 0


def arrived(signed: int, strange: int) -> dict[str, Rollouts]:
    said = (Group(question=QUESTION, completions=(Completion(text="4", finished=True),)),)
    peers = [f"{ALICE[:-2]}{letter}{kind}" for kind in "xy" for letter in "abcdefghijkmnopqrstuvw"]
    marks = zip(peers, [True] * signed + [False] * strange, strict=False)
    found = [Rollouts(peer_id=peer, round=1, stage=0, groups=said, signed=mark) for peer, mark in marks]
    return {source_of(one.peer_id, signed=one.signed): one for one in found}


@pytest.mark.parametrize(
    ("signed", "strange", "scored", "expected"),
    [
        (3, 0, 0, (3, 0)),
        (20, 20, 0, (16, 0)),
        (3, 20, 0, (3, 4)),
        (14, 20, 0, (14, 2)),
        (3, 20, 7, (0, 0)),
        (0, 9, 2, (0, 2)),
    ],
)
def test_who_is_scored_next_signed_ones_first_and_of_the_others_a_quarter(signed, strange, scored, expected):
    everybody = arrived(signed, strange)
    known = set(list(everybody)[:scored])
    found = chosen(everybody, known, 16, Random(0))
    assert not known & set(found)
    assert (sum(everybody[one].signed for one in found), sum(not everybody[one].signed for one in found)) == expected


def test_the_same_peer_stands_apart_where_nobody_signed_for_it():
    one = group(ALICE, 0.0, 1.0)
    assert one.source == ALICE != replace(one, signed=False).source


def test_stock_nodes_are_awaited_unless_there_is_enough_without_them():
    others = {"informative": 3, "heard": 1, "expected": 1, "waited_s": 2.1}
    assert not is_enough(WANT, **others, awaited=True)
    assert is_enough(WANT, **others, awaited=False)
    assert is_enough(WANT, **{**others, "informative": 4}, awaited=True)


async def test_a_feed_keeps_what_nobody_signed_for_apart_and_awaits_it_as_long_as_it_came_lately():
    queue, said = MemoryQueue(), arrived(1, 0).popitem()[1]
    feed = PeerFeed(queue, BOB)
    rounds = [Round(number=number, stage=0, opened_at=0.0, deadline=20.0) for number in range(6)]
    await queue.publish(ROLLOUTS_PEER, said.model_copy(update={"signed": False}))
    await queue.publish(ROLLOUTS_PEER, said)
    await feed.poll(0.0)
    assert [one.signed for one in feed.of(rounds[1]).values()] == [False, True]
    assert not feed.awaits_stock(rounds[1])
    feed.close(rounds[1])
    assert feed.expected() == 1
    assert feed.awaits_stock(rounds[2]) and feed.awaits_stock(rounds[4]) and not feed.awaits_stock(rounds[5])
    await queue.publish(ROLLOUTS_PEER, said.model_copy(update={"round": 2}))
    await feed.poll(0.0)
    assert feed.awaits_stock(rounds[2])
    assert not PeerFeed(queue, BOB).awaits_stock(rounds[0])
