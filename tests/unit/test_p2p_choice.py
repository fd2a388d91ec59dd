"""Whom a household hears: as many as it needs, rather those who have something to learn from, never one liar alone."""

from __future__ import annotations

from collections import Counter
from math import inf
from random import Random

from services.p2p.traffic.choice import LEAST_PEERS, Need, Offer, choose, is_enough

NEED = Need(16)
ROOM = 256


def offers(count: int, informative: int = 2, **changes) -> list[Offer]:
    return [Offer(f"peer{index}", informative, **changes) for index in range(count)]


def chosen(offered: list[Offer], need: Need = NEED, taken: tuple[int, ...] = (), room: int = ROOM, seed: int = 0):
    return [offer.peer for offer in choose(offered, need, taken, room, Random(seed))]


def test_what_is_needed_grows_with_the_trainers_and_has_spares():
    assert Need.of(4, 1) == Need.of(4, 0) == Need(8)
    assert Need.of(4, 3) == Need(24)
    assert Need.of(0, 1) == Need(0)
    assert Need.of(4, 1, stages=3) == Need(inf)
    assert Need(inf).whole
    assert not Need(8).whole


def test_a_few_peers_are_all_heard():
    assert len(chosen(offers(LEAST_PEERS, informative=200))) == LEAST_PEERS
    assert len(chosen(offers(LEAST_PEERS), Need(0))) == LEAST_PEERS


def test_of_many_no_more_are_heard_than_needed():
    assert len(chosen(offers(1_000))) == 8
    assert len(chosen(offers(1_000, informative=1))) == 16
    assert len(chosen(offers(1_000, informative=0))) == ROOM  # nobody claims anything: whoever comes
    assert len(chosen(offers(1_000), taken=(2,) * 6)) == 2
    assert chosen(offers(1_000), taken=(2,) * 8) == []
    assert len(chosen(offers(1_000), room=3)) == 3


def test_all_are_heard_where_all_are_wanted():
    assert not is_enough(Need(inf), [5] * 100)
    assert len(chosen(offers(30), Need(inf))) == 30


def test_a_claim_counts_up_to_a_bound():
    assert not is_enough(NEED, [256] + [0] * 100)
    assert not is_enough(NEED, [256] * 7)
    assert is_enough(NEED, [256] * 8)


def test_those_heard_in_an_earlier_stage_come_first_and_always():
    known = [Offer(f"known{index}", 0, known=True) for index in range(12)]
    assert chosen([*offers(50), *known])[:12] == [offer.peer for offer in known]
    assert chosen([*offers(50), *known], taken=(2,) * 8) == [offer.peer for offer in known]
    assert len(chosen(known, room=5)) == 5


def picks(offered: list[Offer], seeds: int = 400) -> Counter[str]:
    return Counter(peer for seed in range(seeds) for peer in chosen(offered, seed=seed))


def test_those_who_claim_more_are_heard_rather_and_the_others_too():
    found = picks([*offers(20), *(Offer(f"flat{index}", 0) for index in range(20))])
    ours, flat = (sum(count for peer, count in found.items() if peer.startswith(kind)) for kind in ("peer", "flat"))
    assert ours > 1.5 * flat
    assert len(found) == 40


def test_who_claims_without_bounds_is_not_heard_more_than_who_claims_what_counts():
    found = picks([Offer("liar", 256), *offers(30)])
    assert found["liar"] < 1.5 * max(count for peer, count in found.items() if peer != "liar")


def test_a_claim_is_worth_what_its_author_is():
    found = picks([*offers(20), *(Offer(f"doubtful{index}", 2, weight=0.1) for index in range(20))])
    doubtful = sum(count for peer, count in found.items() if peer.startswith("doubtful"))
    assert doubtful < sum(found.values()) / 3
    assert len(chosen(offers(20, weight=0.0))) == 8  # all alike


def test_the_same_seed_chooses_the_same():
    assert chosen(offers(100), seed=7) == chosen(offers(100), seed=7) != chosen(offers(100), seed=8)
