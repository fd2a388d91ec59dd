"""Whom we are linked with, and who speaks as us."""

from __future__ import annotations

from services.p2p.network import sightings as module
from services.p2p.network.seat import RETRY_S, Attempts
from services.p2p.network.sightings import CLONE_S, LINK_ROUNDS, SKEW_S, Sightings
from services.p2p.wire.announcement import Announcement
from tests.p2p_kit import announcement_of, identity

ANNOUNCE_S = 100.0


class Clock:
    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


def told(name: str, number: int = 1, expires: float = 0.0) -> Announcement:
    return announcement_of(identity(name), b"body", number, expires=expires)


def test_who_announced_in_one_of_the_last_rounds_is_linked():
    seen = Sightings(ANNOUNCE_S, Clock())
    for number, name in enumerate(("ann", "bob", "eve"), 5):
        seen.see(told(name, number))
    assert seen.linked(7) == {identity(name).peer_id for name in ("ann", "bob", "eve")}
    assert seen.linked(5 + LINK_ROUNDS) == {identity(name).peer_id for name in ("bob", "eve")}
    assert seen.linked(1) == frozenset()  # another chain, which begins anew
    assert seen.cloned() == frozenset()


def test_the_peer_seen_least_lately_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    seen = Sightings(ANNOUNCE_S, Clock())
    for name in ("ann", "bob", "ann", "eve"):
        seen.see(told(name))
    assert seen.linked(1) == {identity(name).peer_id for name in ("ann", "eve")}


def test_our_own_announcements_prove_nothing():
    clock, ours = Clock(), identity("ann").peer_id
    seen = Sightings(ANNOUNCE_S, clock)
    seen.host(ours)
    seen.see(told("ann", expires=clock.at + ANNOUNCE_S + SKEW_S - 1))  # of an earlier run
    seen.wrote(ours, 1_200.0)
    seen.see(told("ann", expires=1_200.0))
    assert seen.cloned() == seen.linked(1) == frozenset()


def test_what_we_signed_and_did_not_write_is_a_clones_until_it_has_been_silent_for_long():
    clock, ours = Clock(), identity("ann").peer_id
    seen = Sightings(ANNOUNCE_S, clock)
    seen.host(ours)
    seen.see(told("ann", expires=clock.at + ANNOUNCE_S + SKEW_S + 1))
    assert seen.cloned() == {ours}
    clock.at += CLONE_S + 1
    assert seen.cloned() == frozenset()


def test_moments_that_are_over_and_too_many_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MAX_WRITTEN", 3)
    clock, ours = Clock(), identity("ann").peer_id
    seen = Sightings(ANNOUNCE_S, clock)
    for expires in (1_001.0, 1_002.0, 1_003.0, 1_004.0):
        seen.wrote(ours, expires)
    assert list(seen._written[ours]) == [1_002.0, 1_003.0, 1_004.0]
    clock.at = 1_003.5
    seen.wrote(ours, 1_005.0)
    assert list(seen._written[ours]) == [1_004.0, 1_005.0]
    clock.at = 2_000.0
    seen.wrote(ours, 1_900.0)  # a clock that runs ahead of our own word
    assert list(seen._written[ours]) == [1_900.0]


def test_pauses_between_two_attempts_grow_and_differ():
    attempts, at = Attempts(), []
    for _ in range(7):
        attempts.put_off(100.0, 0.75)
        at.append(attempts.at - 100.0)
    assert at == [0.75, 1.5, 3.0, 6.0, 7.5, 7.5, 7.5]
    assert attempts.pause_s == RETRY_S[1]
