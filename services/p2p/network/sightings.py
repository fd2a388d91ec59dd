"""Whose announcements came by: the proof that we are linked with somebody, and that somebody else speaks as us. Pure.

A connection proves nothing: bytes may flow to a process that is in no swarm. What another peer signed and we read does.

And what is signed by a key of ours, and not written by us, proves that the key is in use elsewhere. Known by when it
expires: each announcement of ours has a moment of its own. What an earlier run of ours wrote expires soon.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from services.p2p.wire.announcement import Announcement

LINK_ROUNDS = 3  # the open one and those before it, in which a peer must have announced something
MAX_PEERS = 4_096  # remembered, the one seen least lately is forgotten first
MAX_WRITTEN = 8_192  # moments remembered of each hosted peer; those that are over are forgotten anyway
CLONE_S = 300.0  # after the last proof, that long somebody counts as cloned
SKEW_S = 5.0  # a clock set back between two runs of ours


class Sightings:
    """Told of every announcement that passes the gate, and of every one that we write."""

    def __init__(self, announce_s: float, now: Callable[[], float]) -> None:
        self._now = now
        self._before = now() + announce_s + SKEW_S  # what expires until then may be an earlier run's
        self._rounds: OrderedDict[str, int] = OrderedDict()  # peer -> the last round it announced something in
        self._written: dict[str, dict[float, None]] = {}  # hosted peer -> when what we wrote expires, in order
        self._cloned: dict[str, float] = {}  # hosted peer -> when this was last proven

    def host(self, peer: str) -> None:
        """This peer is one of ours."""
        self._written.setdefault(peer, {})

    def wrote(self, peer: str, expires: float) -> None:
        """A hosted peer announces something; to be said before it can come by."""
        written = self._written.setdefault(peer, {})
        written[expires] = None
        while (oldest := next(iter(written))) < self._now() or len(written) > MAX_WRITTEN:
            if oldest == expires:
                break
            del written[oldest]

    def see(self, announcement: Announcement) -> None:
        """An authentic announcement came by."""
        peer = announcement.peer
        if (written := self._written.get(peer)) is not None:
            if announcement.expires > self._before and announcement.expires not in written:
                self._cloned[peer] = self._now()
            return
        self._rounds[peer] = announcement.round
        self._rounds.move_to_end(peer)
        if len(self._rounds) > MAX_PEERS:
            self._rounds.popitem(last=False)

    def linked(self, round_number: int) -> frozenset[str]:
        """Peers of others whose announcements of these rounds we have read."""
        recent = range(round_number - LINK_ROUNDS + 1, round_number + 2)
        return frozenset(peer for peer, number in self._rounds.items() if number in recent)

    def cloned(self) -> frozenset[str]:
        """Hosted peers as which somebody else speaks."""
        since = self._now() - CLONE_S
        return frozenset(peer for peer, at in self._cloned.items() if at >= since)
