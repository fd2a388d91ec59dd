"""Buckets: where announcements stand, how many buckets a swarm has, and which of them a household reads."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.network.population import MOST, population
from services.p2p.traffic.survey import Survey, counted
from services.p2p.traffic.watch import MAX_PLACES, RIPE, Watch
from services.p2p.wire.buckets import FULL, MAX_LEVEL, THIN, Place, bucket_of, level_of, places_of

PEERS = [f"peer{index}" for index in range(2_000)]
LEVELS = st.integers(min_value=0, max_value=MAX_LEVEL)


def test_a_key_names_swarm_round_stage_level_and_bucket():
    assert Place(7, 2, 3, 5).key("lab") == "rlswarm/lab/7/2/3/5"


@given(LEVELS, st.text(max_size=50), st.integers(min_value=0, max_value=2**63 - 1))
def test_a_bucket_lies_in_one_of_the_level_below(level, peer, number):
    bucket = bucket_of("lab", number, peer, level)
    assert 0 <= bucket < 2**level
    assert bucket_of("lab", number, peer, max(0, level - 1)) == bucket >> min(level, 1)


def test_buckets_are_of_one_size_and_deal_peers_anew_each_round():
    sizes = [0] * 16
    for peer in PEERS:
        sizes[bucket_of("lab", 1, peer, 4)] += 1
    assert min(sizes) > 80
    assert max(sizes) < 170
    stayed = sum(bucket_of("lab", 1, peer, 4) == bucket_of("lab", 2, peer, 4) for peer in PEERS)
    assert stayed < 200  # about one in sixteen
    assert bucket_of("lab", 1, PEERS[0], 4) != bucket_of("other", 1, PEERS[0], 4)


def test_an_announcement_stands_in_the_bucket_of_its_level_and_of_the_one_below():
    assert places_of("lab", 1, 2, "ann", 0) == (Place(1, 2, 0, 0),)
    upper, lower = places_of("lab", 1, 2, "ann", 3)
    assert (upper.level, lower.level, lower.bucket) == (3, 2, upper.bucket >> 1)


def test_a_swarm_of_32_is_one_bucket_and_a_larger_one_has_16_or_so_in_each():
    assert {level_of(size) for size in range(FULL + 1)} == {0}
    assert level_of(33) == 1
    assert level_of(100) == 2
    assert level_of(1e12) == MAX_LEVEL
    for size in range(33, 100_000, 97):
        assert FULL / 2 <= size / 2 ** level_of(size) <= FULL


def test_the_level_stays_while_its_buckets_are_neither_full_nor_thin():
    assert [level_of(size, 3) for size in (8 * THIN, 8 * FULL)] == [3, 3]
    assert level_of(8 * THIN - 1, 3) == 2
    assert level_of(8 * FULL + 1, 3) == 4
    assert level_of(1, 9) == level_of(0, 9) == 0


def test_how_many_nodes_there_are_is_told_by_how_close_ours_are():
    places = Random(1)
    for size in (1, 5, 31):
        assert population(0, range(1, size)) == size
    for size in (1_000, 20_000):
        told = sorted(
            population(own, [places.getrandbits(160) for _ in range(size)]) for own in (0, 2**159, 2**160 - 1)
        )
        assert size / 2 < told[1] < 2 * size
    assert population(0, range(40)) == MOST  # besieged


def test_peers_are_counted_in_the_buckets_that_were_read():
    assert counted({}) == 0.0
    assert counted({Place(1, 0): 7}) == 7.0
    assert counted({Place(1, 0, 3, 0): 20, Place(1, 0, 3, 5): 12}) == 16.0 * 8


def test_the_level_that_tells_of_most_counts_and_a_few_entries_tell_nothing():
    assert counted({Place(1, 0, 0, 0): 2, Place(1, 0, 4, 1): 20, Place(1, 0, 5, 1): 4}) == 320.0
    assert counted({Place(1, 0, 0, 0): 5, Place(1, 0, 16, 1): 3}) == 5.0
    assert counted({Place(1, 0, 16, 1): 3}) == 0.0


def test_a_survey_begins_with_the_nodes_of_the_dht_and_goes_by_what_it_saw():
    survey = Survey()
    survey.guess(1_000)
    assert (survey.size, survey.level) == (None, 5)
    survey.note({Place(1, 0, 5, 1): 10, Place(1, 0, 4, 1): 25})
    assert (survey.size, survey.level) == (400.0, 5)
    survey.guess(1_000_000)  # no more asked for
    assert survey.level == 5
    survey.note({Place(2, 0, 5, 1): 6})
    assert (survey.size, survey.level) == (400 + 0.5 * (192 - 400), 4)


def test_a_survey_that_saw_nobody_begins_anew():
    survey = Survey()
    survey.note({Place(1, 0, 0, 0): 3})
    assert survey.size == 3
    survey.note({Place(1, 0, 0, 0): 0})
    assert survey.size is None
    survey.guess(100)
    assert survey.level == 2


def watch_of(level: int, *first: int, seed: int = 0) -> Watch:
    return Watch(1, 0, level, Random(seed), first)


def test_a_round_begins_with_one_bucket_or_with_those_it_is_told():
    assert watch_of(0).current == [Place(1, 0, 0, 0)]
    assert {watch_of(4, seed=seed).current[0].bucket for seed in range(200)} == set(range(16))
    assert watch_of(3, 5, 1, 5).current == [Place(1, 0, 3, 5), Place(1, 0, 3, 1)]
    assert len(watch_of(6, *range(64)).current) == MAX_PLACES


def test_a_full_bucket_leads_to_another_until_all_are_read():
    watch = watch_of(2)
    for read in range(1, 5):
        assert len(watch.current) == read
        assert watch.next(9, overdue=False) == watch.current
        for place in watch.current:
            watch.note(place, RIPE)
        assert watch.next(9, overdue=True, widen=False) == watch.current  # what is here is all that is wanted
        watch.next(9, overdue=True)
    assert {place.bucket for place in watch.current} == {0, 1, 2, 3}
    watch = watch_of(9, *range(MAX_PLACES))
    for place in watch.current:
        watch.note(place, RIPE)
    assert len(watch.next(9, overdue=False)) == MAX_PLACES


def test_where_all_buckets_of_a_level_are_read_and_more_is_needed_other_levels_are_looked_at():
    watch = watch_of(0)
    watch.note(watch.current[0], RIPE)
    assert watch.next(5, overdue=False) == watch.current
    assert watch.next(5, overdue=True)[-1].level == 1


def levels_read(watch: Watch, ceiling: int, looks: int) -> list[int]:
    return [watch.next(ceiling, overdue=True)[-1].level for _ in range(looks)]


def test_an_empty_bucket_leads_to_the_levels_next_to_it_when_others_are_overdue():
    watch = watch_of(3)
    assert watch.next(5, overdue=False) == watch.current
    assert levels_read(watch, 5, 8) == [2, 4, 1, 5, 0, 6, 3, 3]


def test_a_small_swarm_has_no_other_level():
    assert levels_read(watch_of(0), 0, 3) == [0, 0, 0]
    assert levels_read(watch_of(0), 1, 4) == [1, 2, 0, 0]
    assert max(levels_read(watch_of(MAX_LEVEL), MAX_LEVEL, 40)) == MAX_LEVEL


def test_the_level_at_which_most_were_found_is_read_on():
    watch = watch_of(3)
    watch.note(watch.current[0], 1)
    (*_, below) = watch.next(5, overdue=True)
    watch.note(below, 3)  # too few to tell anything
    assert watch.level == 3
    (*_, above) = watch.next(5, overdue=True)
    watch.note(above, 14)
    assert (watch.level, watch.current) == (4, [above])
    assert [place.level for place in watch.next(5, overdue=True)] == [4, 4]
    watch.note(above, 2)  # a holder that does not know them all
    assert watch.entries[above] == 14


@pytest.mark.parametrize("writes", range(MAX_LEVEL + 1))
@pytest.mark.parametrize("reads", [0, 3, 8, 16])
def test_whatever_the_two_take_the_swarm_for_a_reader_finds_the_writers(reads, writes):
    watch = watch_of(reads)
    for _ in range(MAX_LEVEL + 2):
        for place in watch.next(writes, overdue=True):
            watch.note(place, 16 if place.level in (writes, writes - 1) else 0)
    assert watch.level in (writes, writes - 1)
