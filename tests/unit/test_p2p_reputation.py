"""What peers did wrong: added up, faded, kept over restarts."""

from __future__ import annotations

import json

import pytest

from services.p2p.trust import reputation as module
from services.p2p.trust.offence import WEIGHTS, Offence
from services.p2p.trust.reputation import MAX_GUILT, MAX_KEPT, Reputation
from tests.examples import ALICE, BOB

BAD = Offence.RUBBISH


def reputation_of(budget: float = 3, half_life_s: float = 100) -> Reputation:
    return Reputation(budget, half_life_s)


def test_a_peer_is_left_alone_after_its_budget_and_comes_back():
    reputation = reputation_of()
    for at in (0, 1, 2):
        assert not reputation.holds(ALICE, at)
        reputation.fail(ALICE, BAD, at)
    assert reputation.holds(ALICE, 3)
    assert reputation.held(3) == {ALICE}
    until = reputation.until(ALICE, 3)
    assert reputation.holds(ALICE, until - 0.1)
    assert not reputation.holds(ALICE, until + 0.1)
    assert reputation.held(103) == frozenset()
    assert reputation.until(ALICE, 103) == 103


def test_rare_failures_never_add_up():
    reputation = reputation_of()
    for at in range(0, 100_000, 200):
        reputation.fail(ALICE, BAD, at)
        assert not reputation.holds(ALICE, at)


def test_a_peer_that_fails_more_stays_longer_but_not_for_ever_and_a_clock_that_jumps_back_frees_nobody():
    reputation = reputation_of()
    for _ in range(12):
        reputation.fail(ALICE, BAD, 1_000)
    assert reputation.holds(ALICE, 1_200)
    assert reputation.holds(ALICE, 0)
    for _ in range(1_000):
        reputation.fail(ALICE, BAD, 1_000)
    assert reputation.weight(ALICE, 1_000) == MAX_GUILT
    assert not reputation.holds(ALICE, 1_500)


def test_an_offence_counts_as_much_as_it_harms():
    reputation = reputation_of()
    reputation.fail(ALICE, Offence.FOREIGN, 0)
    assert reputation.weight(ALICE, 0) == WEIGHTS[Offence.FOREIGN]
    reputation.fail(BOB, Offence.FORGED, 0, share=0.5)
    assert (reputation.weight(BOB, 0), reputation.offence(BOB)) == (0.5, Offence.FORGED)
    assert (reputation.weight("nobody", 0), reputation.offence("nobody")) == (0.0, None)


def test_a_budget_below_one_failure_is_used_up_by_one():
    reputation = reputation_of(budget=0.5)
    assert not reputation.holds(ALICE, 0)
    reputation.fail(ALICE, BAD, 0)
    assert reputation.holds(ALICE, 0)


def test_the_least_guilty_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    reputation = reputation_of(budget=2)
    for peer in ("bad", "bad", "once", "worse", "worse"):
        reputation.fail(peer, BAD, 0)
    assert reputation.held(0) == {"bad", "worse"}
    assert reputation.weight("once", 0) == 0


def test_the_guiltiest_are_kept_over_a_restart_faded_as_they_have():
    reputation = reputation_of()
    for _ in range(4):
        reputation.fail(ALICE, Offence.COPIED, 0)
    reputation.fail(BOB, BAD, -1_000)  # long ago: not worth keeping
    again = reputation_of()
    again.load(reputation.dump(100), 200)
    assert again.weight(ALICE, 200) == pytest.approx(1.0)
    assert again.offence(ALICE) is Offence.COPIED
    assert again.weight(BOB, 200) == 0


def test_what_is_kept_is_bounded():
    reputation, name = reputation_of(), "Qm" + "x" * 40
    for number in range(MAX_KEPT + 50):
        reputation.fail(f"{name}{number:04d}".replace("0", "z"), BAD, number / 1_000)
    kept = json.loads(reputation.dump(1))
    assert len(kept) == MAX_KEPT
    assert f"{name}zzzz" not in kept


def test_a_clock_that_stood_ahead_keeps_nobody_out_for_longer():
    reputation = reputation_of()
    reputation.fail(ALICE, BAD, 10_000)
    again = reputation_of()
    again.load(reputation.dump(10_000), 0)
    assert again.weight(ALICE, 100) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"x": 1}', f'{{"{ALICE}": {{"guilt": 1, "at": 0, "offence": "kindness"}}}}',
        f'{{"{ALICE}": {{"guilt": NaN, "at": 0, "offence": "rubbish"}}}}',
        f'{{"{ALICE}": {{"guilt": 1e9, "at": 0, "offence": "rubbish"}}}}',
        f'{{"{ALICE}": {{"guilt": 1, "at": Infinity, "offence": "rubbish"}}}}',
        '{"me": {"guilt": 1, "at": 0, "offence": "rubbish"}}',
    ],
)  # fmt: skip
def test_a_damaged_memory_is_dropped_with_a_line(text, caplog):
    reputation = reputation_of()
    reputation.load(text, 0)
    assert reputation.held(0) == frozenset()
    assert "damaged" in caplog.text
