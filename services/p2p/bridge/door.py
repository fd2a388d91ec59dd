"""Which records of stock nodes this household's nodes hold and hand on. Pure: time comes in as an argument.

They are not signed: anybody can write any of them. So only under the keys of the rounds at hand, only under the name
of a peer, only what a stock node could have written, and only for a while; and of one key so little that the whole
dictionary still travels.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError

from services.p2p.bridge.layouts import MAX_VALUE, Unreadable
from services.p2p.bridge.payloads import groups_of
from services.p2p.wire.announcement import HORIZON_S, place_id
from services.p2p.wire.rejection import Reason, Rejected
from shared.messages import PeerId

ROUNDS = range(-1, 3)  # around the open one: the others' clocks are not ours
MAX_PEERS = 512  # under one key
MAX_TOTAL = 2_097_152  # bytes of one key; a dictionary of 4 MiB is lost to all its readers
_PEER: TypeAdapter[str] = TypeAdapter(PeerId)


def key_of(round_number: int) -> str:
    """The DHT key of all stock nodes' rollouts of a round."""
    return str(round_number)


class Door:
    """Judges records under the keys of stock nodes; no key is one until a round is open."""

    def __init__(self) -> None:
        self._sizes: dict[bytes, Counter[str]] = {}  # key -> subkey -> bytes

    def open(self, round_number: int) -> None:
        """This round is at hand."""
        keys = [place_id(key_of(round_number + step)) for step in ROUNDS if round_number + step >= 0]
        self._sizes = {key: self._sizes.get(key, Counter()) for key in keys}

    def leads(self, key_id: bytes) -> bool:
        """Whether this (hashed) key is one of those."""
        return key_id in self._sizes

    def check(self, key_id: bytes, subkey: str, value: bytes, expiration: object, now: float) -> None:
        """Whether a record may stand under such a key. Raises Rejected."""
        if not _is_peer(subkey):
            raise Rejected(Reason.MALFORMED)
        if len(value) > MAX_VALUE:
            raise Rejected(Reason.TOO_LARGE)
        if not isinstance(expiration, float | int) or not expiration > now:
            raise Rejected(Reason.EXPIRED)
        if expiration > now + HORIZON_S:
            raise Rejected(Reason.FAR_EXPIRATION)
        if not _is_readable(value):
            raise Rejected(Reason.MALFORMED)
        sizes = self._sizes[key_id]
        crowded = subkey not in sizes and len(sizes) >= MAX_PEERS
        if crowded or sizes.total() - sizes[subkey] + len(value) > MAX_TOTAL:
            raise Rejected(Reason.CROWDED)
        sizes[subkey] = len(value)


def _is_peer(text: str) -> bool:
    try:
        _PEER.validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=64)  # the same records come back with every look at the DHT, from every holder
def _is_readable(value: bytes) -> bool:
    try:
        groups_of(value)
    except Unreadable:
        return False
    return True
