"""The gate: which records may stand in the DHT, and how many."""

from __future__ import annotations

import time

import msgpack
import pytest

from services.p2p.trust import gate as module
from services.p2p.trust.gate import AHEAD, BEHIND, MAX_STAGES, MAX_SUBKEYS, Gate
from services.p2p.trust.members import GRACE_S, MAX_KNOWN, MAX_NEW, Members
from services.p2p.wire.announcement import MAX_ANNOUNCEMENT, place_id, sign
from services.p2p.wire.buckets import Place, places_of
from services.p2p.wire.rejection import Reason
from shared.messages import Round
from tests.p2p_kit import SWARM, announcement_of, identity

ANN, EVE = "ann", "eve"
BODY = b"body"


class Watched(Gate):
    """A gate and what it refused, at a time of our choosing."""

    def __init__(self, now: float | None = None) -> None:
        self.at, self.refused = now or time.time(), []
        super().__init__(SWARM, lambda: self.at, lambda reason, what: self.refused.append(reason))

    def offer(self, who: str = ANN, number: int = 1, **changes) -> bool:
        """A well-signed record in the place that it names."""
        told = announcement_of(identity(who), BODY, number, **changes)
        return self.admit(place_id(told.keys[0]), told.peer, sign(told, identity(who)), told.expires)

    def at_round(self, number: int, stage: int = 0, stages: int = 1) -> None:
        round_ = Round(number=number, stage=stage, stages=stages, opened_at=0, deadline=1)
        self.open_round = lambda: round_


def test_a_record_stands_in_its_place_only():
    gate = Watched()
    told = announcement_of(identity(ANN), BODY)
    value, here = sign(told, identity(ANN)), place_id(told.keys[0])
    assert gate.admit(here, told.peer, value, told.expires)
    assert not gate.admit(place_id("rlswarm/lab/2/0/0/0"), told.peer, value, told.expires)
    assert not gate.admit(here, identity(EVE).peer_id, value, told.expires)
    assert gate.refused == [Reason.WRONG_PLACE, Reason.WRONG_PEER]


def test_a_record_stands_in_its_authors_bucket_of_its_level_and_of_the_one_below():
    gate = Watched()
    told = announcement_of(identity(ANN), BODY, level=5)
    value, own = sign(told, identity(ANN)), places_of(SWARM, 1, 0, told.peer, 5)
    assert told.keys == tuple(place.key(SWARM) for place in own)
    everywhere = [Place(1, 0, level, bucket) for level in range(8) for bucket in range(2**level)]
    admitted = [at for at in everywhere if gate.admit(place_id(at.key(SWARM)), told.peer, value, told.expires)]
    assert admitted == sorted(own, key=lambda place: place.level)
    assert set(gate.refused) == {Reason.WRONG_PLACE}


def test_what_would_brick_prolong_or_outlive_is_refused():
    gate = Watched()
    told = announcement_of(identity(ANN), BODY)
    value, here = sign(told, identity(ANN)), place_id(told.keys[0])
    assert not gate.admit(here, None, value, told.expires)  # a plain value
    assert not gate.admit(here, told.peer * 9, value, told.expires)
    assert not gate.admit(here, told.peer, [1], told.expires)
    assert not gate.admit(here, told.peer, value + b"x" * MAX_ANNOUNCEMENT, told.expires)
    assert not gate.admit(here, told.peer, value, told.expires + 1)
    assert not gate.admit(here, told.peer, value, float("nan"))
    assert not gate.offer(expires=time.time() + 1e12)
    assert not gate.offer(swarm="other")
    assert gate.refused == [
        Reason.MALFORMED,
        Reason.MALFORMED,
        Reason.MALFORMED,
        Reason.TOO_LARGE,
        Reason.WRONG_EXPIRATION,
        Reason.WRONG_EXPIRATION,
        Reason.FAR_EXPIRATION,
        Reason.WRONG_SWARM,
    ]


def test_only_rounds_near_the_open_one_and_its_stages_have_a_place():
    gate = Watched()
    assert gate.offer(number=10**9, stage=MAX_STAGES - 1)  # as long as no round is known
    assert not gate.offer(stage=MAX_STAGES)
    gate.at_round(100, stages=3)
    for number, stage in ((100 - BEHIND, 2), (100 + AHEAD, 0)):
        assert gate.offer(number=number, stage=stage)
    for number, stage in ((100 - BEHIND - 1, 0), (100 + AHEAD + 1, 0), (100, 3)):
        assert not gate.offer(number=number, stage=stage)
    gate.at_round(100, stage=3)
    assert gate.offer(number=100, stage=3)
    assert gate.refused == [Reason.WRONG_STAGE, Reason.PAST_ROUND, Reason.FUTURE_ROUND, Reason.WRONG_STAGE]


def test_a_key_takes_so_many_peers_and_knows_those_it_has(monkeypatch):
    monkeypatch.setattr(module, "MAX_SUBKEYS", 1)
    gate = Watched()
    assert [gate.offer(who) for who in (ANN, EVE, ANN)] == [True, False, True]
    assert gate.refused == [Reason.CROWDED]
    assert MAX_SUBKEYS * 1_500 < 4 * 2**20  # all of them fit into one message


@pytest.mark.parametrize("bound", ["MAX_PLACES", "MAX_RECORDS", "MAX_OF_PEER"])
def test_the_number_of_keys_and_records_is_bounded_and_what_is_over_makes_room(monkeypatch, bound):
    monkeypatch.setattr(module, bound, 3)
    gate = Watched()
    gate.at_round(1)
    assert [gate.offer(number=number) for number in (1, 2, 3, 4, 3)] == [True, True, True, False, True]
    assert gate.refused == [Reason.CROWDED]
    gate.at += module.SWEEP_S
    assert not gate.offer(number=4)  # nothing is over yet
    gate.at += module.SWEEP_S
    gate.at_round(BEHIND + 3)  # the first two rounds are over
    assert gate.offer(number=4)
    known = [gate.knows(place_id(f"rlswarm/lab/{number}/0/0/0")) for number in (1, 2, 3, 4)]
    assert known == [False, False, True, True]


def test_who_wrote_what_was_admitted_is_told():
    gate, seen = Watched(), []
    gate.on_admitted.append(lambda announcement: seen.append(announcement.peer))
    assert gate.offer(ANN)
    assert not gate.offer(EVE, swarm="other")
    assert seen == [identity(ANN).peer_id]


def test_what_has_expired_is_forgotten():
    gate = Watched()
    key = place_id("rlswarm/lab/1/0/0/0")
    assert gate.offer(expires=gate.at + 10)
    gate.at += 5
    assert gate.knows(key)
    gate.at += 6
    assert not gate.knows(key)
    assert gate._records == 0


def test_a_full_gate_that_forgets_the_very_key_takes_it_anew(monkeypatch):
    monkeypatch.setattr(module, "MAX_SUBKEYS", 1)
    gate = Watched()
    assert gate.offer(ANN, expires=gate.at + 10)
    gate.at += 20
    assert gate.offer(EVE, expires=gate.at + 10)


def test_a_gate_that_nobody_listens_to_refuses_all_the_same():
    assert not Gate(SWARM, time.time).admit(b"", "x", b"", 0.0)


def test_what_is_refused_is_told_in_little_space_and_told_apart():
    marks = []
    gate = Gate(SWARM, time.time, lambda reason, what: marks.append(what))
    for value in (b"x" * 10**6, b"x" * 10**6 + b"y", [1] * 10_000, None):
        gate.admit(b"", "peer", value, 0.0)
    assert len(set(marks)) == 4
    assert max(map(len, marks)) < 1_000


LISTED, OWN, NEW = "listed", "own", "new"


def members_of(mode: str, *listed: str) -> Members:
    members = Members(mode, lambda: (OWN,))
    members.listed = frozenset(listed) if listed else None
    return members


def test_everybody_is_let_in_until_it_is_known_that_we_are_members_ourselves():
    assert not members_of("false", OWN, LISTED).turns_away(NEW, 0)
    for members in (members_of("auto"), members_of("auto", LISTED)):
        for peer in range(2 * MAX_NEW):
            assert not members.turns_away(str(peer), 0)
            members.admit(str(peer), 0)
    assert members_of("auto", OWN, LISTED).only


@pytest.mark.parametrize("members", [members_of("auto", OWN, LISTED), members_of("true", LISTED), members_of("true")])
def test_a_peer_that_is_not_listed_has_a_while_to_appear_there(members):
    assert members.only
    assert not members.turns_away(NEW, 0)
    members.admit(NEW, 0)
    members.admit(NEW, GRACE_S - 1)
    assert not members.turns_away(NEW, GRACE_S - 0.1)
    assert members.turns_away(NEW, GRACE_S)
    assert members.turns_away(NEW, 1_000 * GRACE_S)
    assert not members.turns_away(OWN, GRACE_S)
    members.listed = frozenset({OWN, NEW})
    assert not members.turns_away(NEW, GRACE_S)


def test_of_a_crowd_of_made_up_peers_a_few_are_let_in_and_nothing_grows():
    members = members_of("true", LISTED)
    let_in = 0
    for number in range(100_000):
        at = number / 100  # a thousand seconds long
        if not members.turns_away(str(number), at):
            members.admit(str(number), at)
            let_in += 1
    assert let_in <= MAX_NEW * (1_000 / GRACE_S + 1)
    assert len(members._since) <= MAX_KNOWN
    for number in range(2 * MAX_KNOWN):
        members.admit(f"later {number}", 10_000 + number * GRACE_S)
    assert len(members._since) == MAX_KNOWN
    assert not members.turns_away(LISTED, 0)


def test_the_gate_counts_who_is_not_a_member():
    gate = Watched()
    gate.members = members_of("true", identity(ANN).peer_id)
    assert gate.offer(ANN)
    assert gate.offer(EVE)
    gate.at += GRACE_S
    assert gate.offer(ANN)
    assert not gate.offer(EVE)
    assert gate.refused == [Reason.NOT_MEMBER]


def test_nobody_is_let_in_for_a_while_on_anothers_word():
    gate = Watched()
    gate.members = members_of("true", identity(ANN).peer_id)
    told = announcement_of(identity(ANN), BODY)
    gate.admit(place_id(told.keys[0]), identity(EVE).peer_id, sign(told, identity(ANN)), told.expires)
    gate.admit(place_id(told.keys[0]), identity(EVE).peer_id, msgpack.packb([1]), told.expires)
    gate.at += GRACE_S
    assert gate.offer(EVE)
