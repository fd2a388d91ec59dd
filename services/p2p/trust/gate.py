"""What this household's nodes hold and hand on in the DHT. Pure but for its bounded memory of what it admitted.

A DHT believes anybody: a later expiration overwrites anyone's record, a plain value bricks a key, one odd record makes
a reader hang. Here every record must be an authentic announcement of a member, in the place and until the moment it
names, of a round that is near the open one. It is asked for every record that strangers store here and for every record
of every answer; bad ones are dropped one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from services.p2p.bridge.door import Door
from services.p2p.trust.members import Members
from services.p2p.wire.announcement import MAX_ANNOUNCEMENT, Announcement, authentic, check_time, place_id
from services.p2p.wire.rejection import Reason, Rejected
from shared.messages import Round

MAX_SUBKEYS = 2_048  # a dictionary travels in one message of 4 MiB at most: beyond that the whole key is lost
MAX_PLACES, MAX_RECORDS = 4_096, 16_384  # keys and records that are live at once: some 25 MB in each node
BEHIND, AHEAD = 8, 16  # rounds before and after the open one: others may see the chain sooner or later than we do
MAX_STAGES = 16  # of a round, where we know of no round
MAX_OF_PEER = 128  # live places of one peer: two for each stage of the rounds near the open one
SWEEP_S = 1.0  # between two looks for what is over
MAX_PEER_ID = 128  # characters


@dataclass
class _Place:
    """A key under which there are records."""

    round: int
    peers: dict[str, float] = field(default_factory=dict)  # peer -> expiration


class Gate:
    """Admits records and tells `on_admitted`; tells `on_refused` of the others. The rounds and `members` may be put in
    later."""

    def __init__(
        self, swarm: str, now: Callable[[], float], on_refused: Callable[[Reason, str], object] | None = None
    ) -> None:
        self._swarm, self._now = swarm, now
        self.on_refused = on_refused or (lambda reason, what: None)
        self.on_admitted: list[Callable[[Announcement], object]] = []
        self.door: Door | None = None  # to stock nodes, where the bridge is on
        self.open_round: Callable[[], Round | None] = lambda: None
        self.members = Members("false", lambda: ())
        self._places: dict[bytes, _Place] = {}
        self._of_peer: Counter[str] = Counter()
        self._records = 0
        self._swept_at = float("-inf")

    def admit(self, key_id: bytes, subkey: object, value: object, expiration: object) -> bool:
        """Whether a record may stand under this (hashed) key. Never raises."""
        try:
            self._check(key_id, subkey, value, expiration)
        except Rejected as verdict:
            self.refuse(verdict.reason, key_id, subkey, value)
            return False
        return True

    def refuse(self, reason: Reason, *what: object) -> None:
        """Tell that something was not even a record, or is none to be admitted."""
        self.on_refused(reason, " ".join(map(_mark, what)))

    def knows(self, key_id: bytes) -> bool:
        """Whether there are records under this key that are not over, or it is one of stock nodes' at hand."""
        if self.door is not None and self.door.leads(key_id):
            return True
        self._sweep()
        return key_id in self._places

    def _check(self, key_id: bytes, subkey: object, value: object, expiration: object) -> None:
        if not isinstance(subkey, str) or len(subkey) > MAX_PEER_ID or not isinstance(value, bytes):
            raise Rejected(Reason.MALFORMED)
        now = self._now()
        if self.door is not None and self.door.leads(key_id):
            if self.members.is_strange(subkey):
                raise Rejected(Reason.NOT_MEMBER)
            return self.door.check(key_id, subkey, value, expiration, now)
        if len(value) > MAX_ANNOUNCEMENT:
            raise Rejected(Reason.TOO_LARGE)
        if self.members.turns_away(subkey, now):  # before its signature is looked at, which takes time
            raise Rejected(Reason.NOT_MEMBER)
        announcement = authentic(value, subkey)
        if announcement.swarm != self._swarm:
            raise Rejected(Reason.WRONG_SWARM)
        if key_id not in map(place_id, announcement.keys):
            raise Rejected(Reason.WRONG_PLACE)
        check_time(announcement, now)
        if announcement.expires != expiration:
            raise Rejected(Reason.WRONG_EXPIRATION)
        _check_round(announcement, self.open_round())
        self._count(key_id, announcement)
        self.members.admit(subkey, now)
        for listener in self.on_admitted:
            listener(announcement)

    def _count(self, key_id: bytes, announcement: Announcement) -> None:
        place = self._places.get(key_id)
        if place is None or announcement.peer not in place.peers:
            if self._is_full(place, announcement.peer):
                self._sweep()
                place = self._places.get(key_id)
            if self._is_full(place, announcement.peer):
                raise Rejected(Reason.CROWDED)
            self._of_peer[announcement.peer] += 1
            self._records += 1
        place = self._places.setdefault(key_id, _Place(announcement.round))
        place.peers[announcement.peer] = max(announcement.expires, place.peers.get(announcement.peer, 0.0))

    def _is_full(self, place: _Place | None, peer: str) -> bool:
        if place is None and len(self._places) >= MAX_PLACES:
            return True
        if place is not None and len(place.peers) >= MAX_SUBKEYS:
            return True
        return self._records >= MAX_RECORDS or self._of_peer[peer] >= MAX_OF_PEER

    def _sweep(self) -> None:
        """Forget what has expired, and the rounds that are over."""
        now, open_ = self._now(), self.open_round()
        if now < self._swept_at + SWEEP_S:
            return
        self._swept_at = now
        first = open_.number - BEHIND if open_ else 0
        for key_id, place in list(self._places.items()):
            place.peers = {peer: until for peer, until in place.peers.items() if until > now}
            if not place.peers or place.round < first:
                del self._places[key_id]
        self._of_peer = Counter(peer for place in self._places.values() for peer in place.peers)
        self._records = self._of_peer.total()


def _check_round(announcement: Announcement, open_: Round | None) -> None:
    """Only where we do not know which round is open anything goes: a node may be no more than an entry point."""
    if announcement.stage >= (max(open_.stages, open_.stage + 1) if open_ else MAX_STAGES):
        raise Rejected(Reason.WRONG_STAGE)
    if open_ is not None and announcement.round < open_.number - BEHIND:
        raise Rejected(Reason.PAST_ROUND)
    if open_ is not None and announcement.round > open_.number + AHEAD:
        raise Rejected(Reason.FUTURE_ROUND)


def _mark(what: object) -> str:
    """Tells one thing from another, in little space."""
    return sha256(what).hexdigest() if isinstance(what, bytes) else repr(what)[:256]
