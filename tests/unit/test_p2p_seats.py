"""How many peers a household hosts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.network.seats import seats_at_start, seats_wanted
from tests.p2p_kit import settings_of

NOW = 1_000.0


@pytest.mark.parametrize(
    ("wishes", "hosted", "leases", "heard", "missing"),
    [
        ({}, ["A"], {}, {}, 0),
        ({"one": NOW}, ["A"], {}, {}, 0),  # one is free
        ({"one": NOW, "two": NOW, "three": NOW}, ["A"], {}, {}, 2),  # three begin at once
        ({"two": NOW, "three": NOW}, ["A"], {"A": "one"}, {"one": NOW + 1}, 2),  # the first has taken it and lives
        ({"new": NOW}, ["A"], {"A": "killed"}, {"killed": NOW - 1}, 0),  # silent since: its lease will end
        ({"new": NOW}, ["A"], {"A": "killed"}, {}, 0),  # nobody knows its holder any more
        ({"new": NOW, "more": NOW}, ["A", "B"], {"A": "killed", "B": "one"}, {"killed": NOW - 9, "one": NOW + 1}, 1),
        ({"one": NOW}, ["A"], {"A": "one"}, {"one": NOW + 1}, 0),  # served in the meantime
        (
            {"early": NOW, "late": NOW + 5},
            ["A"],
            {"A": "one"},
            {"one": NOW + 3},
            1,
        ),  # will do for the one that came late
    ],
)
def test_a_peer_is_added_for_each_trainer_that_no_peer_will_be_free_for(wishes, hosted, leases, heard, missing):
    assert seats_wanted(wishes, hosted, leases, heard) == missing


@given(st.lists(st.integers(0, 9), max_size=4), st.lists(st.integers(0, 9) | st.none(), max_size=4))
def test_no_other_way_to_hand_out_the_peers_would_need_fewer(waits, silences):
    wishes = {f"w{k}": float(since) for k, since in enumerate(waits)}
    leases = {f"P{k}": f"h{k}" for k, at in enumerate(silences) if at is not None}
    heard = {f"h{k}": float(at) for k, at in enumerate(silences) if at is not None}
    hosted = [f"P{k}" for k in range(len(silences))]
    slots = [*silences, *[None] * len(waits)]  # as many more as could be missing

    def missing(order):
        return sum(
            not (place < len(silences) and (slots[place] is None or slots[place] <= since))
            for since, place in zip(waits, order, strict=False)
        )

    best = min(missing(order) for order in itertools.permutations(range(len(slots)), len(waits)))
    assert seats_wanted(wishes, hosted, leases, heard) == best


@pytest.mark.parametrize(("peers", "files", "bound", "count"), [(1, 0, 4, 1), (1, 3, 4, 3), (2, 9, 4, 4), (6, 0, 4, 6)])
def test_all_that_were_ever_hosted_are_hosted_again_up_to_the_bound(tmp_path, peers, files, bound, count):
    settings = settings_of(tmp_path, peers=peers, peers_max=bound)
    for index in range(files):
        settings.identity_of(index).parent.mkdir(exist_ok=True)
        settings.identity_of(index).write_bytes(b"")
    assert seats_at_start(settings) == count
