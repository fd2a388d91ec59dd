"""What this household's nodes hold and hand on in the DHT. Pure but for its small memory of crowded keys.

A DHT believes anybody: a later expiration overwrites anyone's record, a plain value bricks a key, one odd record makes
a reader hang. Here every record must be an authentic announcement, in the place and until the moment it names. It is
asked for every record that strangers store here and for every record of every answer; bad ones are dropped one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from services.p2p.wire.announcement import authentic, check_time, place_id
from services.p2p.wire.rejection import Reason, Rejected

MAX_SUBKEYS = 2_048  # a dictionary travels in one message of 4 MiB at most: beyond that the whole key is lost
MAX_KEYS = 64  # keys whose subkeys are counted


class Gate:
    """Admits records; tells `on_refused` of those that it does not."""

    def __init__(
        self, swarm: str, now: Callable[[], float], on_refused: Callable[[Reason, str], object] | None = None
    ) -> None:
        self._swarm, self._now = swarm, now
        self.on_refused = on_refused or (lambda reason, what: None)
        self._subkeys: OrderedDict[bytes, set[str]] = OrderedDict()

    def admit(self, key_id: bytes, subkey: object, value: object, expiration: object) -> bool:
        """Whether a record may stand under this (hashed) key. Never raises."""
        try:
            self._check(key_id, subkey, value, expiration)
        except Rejected as verdict:
            self.on_refused(verdict.reason, f"{key_id.hex()}{subkey!r}{value!r}"[:4_096])
            return False
        return True

    def _check(self, key_id: bytes, subkey: object, value: object, expiration: object) -> None:
        if not isinstance(subkey, str) or not isinstance(value, bytes):
            raise Rejected(Reason.MALFORMED)
        announcement = authentic(value, subkey)
        if announcement.swarm != self._swarm:
            raise Rejected(Reason.WRONG_SWARM)
        if key_id not in map(place_id, announcement.keys):
            raise Rejected(Reason.WRONG_PLACE)
        check_time(announcement, self._now())
        if announcement.expires != expiration:
            raise Rejected(Reason.WRONG_EXPIRATION)
        self._count(key_id, subkey)

    def _count(self, key_id: bytes, subkey: str) -> None:
        known = self._subkeys.setdefault(key_id, set())
        self._subkeys.move_to_end(key_id)
        if len(self._subkeys) > MAX_KEYS:
            self._subkeys.popitem(last=False)
        if len(known) >= MAX_SUBKEYS and subkey not in known:
            raise Rejected(Reason.CROWDED)
        known.add(subkey)
