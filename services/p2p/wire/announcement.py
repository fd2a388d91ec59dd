"""What a peer writes into the DHT: not its rollouts, but that it has them, with their hash, under its signature.

    value = msgpack {v, swarm, round, stage, level, peer, sha256, size, groups, informative, expires}
          + msgpack [public key, signature]                                                      the trailer

There is one encoding only of the first object. Readers that know nothing of the trailer decode it and stop. The public
key is proven by the peer id (its hash), the signature covers the first object, and that names the place in the DHT
(buckets.py) and the moment it expires: nobody can write, move or prolong another peer's announcement.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from typing import Annotated, Any

import msgpack
from pydantic import Field, StringConstraints, ValidationError, model_validator

from services.p2p.network.identities import Identity
from services.p2p.wire.buckets import MAX_LEVEL, places_of
from services.p2p.wire.keys import is_signed, peer_id_of
from services.p2p.wire.rejection import Reason, Rejected
from shared.messages import MAX_GROUPS, Message, PeerId, RoundNumber

VERSION = 1
MAX_ANNOUNCEMENT = 2_048  # bytes, trailer included; ours have about 950
HORIZON_S = 3_600.0  # longest life of an announcement
DOMAIN = b"rlswarm announcement\0"  # so that no signature made for another purpose passes here


class Announcement(Message):
    """A peer has rollouts of a round. Fields in wire order."""

    v: int
    swarm: Annotated[str, StringConstraints(max_length=63)]
    round: RoundNumber
    stage: Annotated[int, Field(ge=0, lt=2**31)]
    level: Annotated[int, Field(ge=0, le=MAX_LEVEL)]  # it stands in its peer's bucket of this level and the one below
    peer: PeerId
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]  # of the body
    size: Annotated[int, Field(gt=0, lt=2**31)]  # of the body, bytes
    groups: Annotated[int, Field(gt=0, le=MAX_GROUPS)]  # question groups in the body
    informative: Annotated[int, Field(ge=0, le=MAX_GROUPS)]  # of these, as the author claims; see `Rollouts`
    expires: float  # unix seconds; also the expiration of the DHT record

    @model_validator(mode="after")
    def _counts(self) -> Announcement:
        if self.informative > self.groups:
            raise ValueError("more informative groups than groups")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Where in the DHT it belongs."""
        places = places_of(self.swarm, self.round, self.stage, self.peer, self.level)
        return tuple(place.key(self.swarm) for place in places)


def place_id(key: str) -> bytes:
    """The DHT key as holders see it: hivemind's hash of it."""
    return sha1(msgpack.packb(key), usedforsecurity=False).digest()


def _encode(announcement: Announcement) -> bytes:
    return bytes(msgpack.packb(announcement.model_dump()))


def sign(announcement: Announcement, identity: Identity) -> bytes:
    """The bytes to write into the DHT."""
    text = _encode(announcement)
    return text + bytes(msgpack.packb([identity.public_key, identity.sign(DOMAIN + text)]))


def authentic(value: bytes, subkey: str) -> Announcement:
    """The announcement, proven to be made by the peer `subkey`. Raises Rejected."""
    verdict = _authentic(value, subkey)
    if isinstance(verdict, Reason):
        raise Rejected(verdict)
    return verdict


def verify(value: bytes, *, swarm: str, round: int, stage: int, now: float, subkey: str) -> Announcement:
    """The announcement, proven to be made by `subkey` for this place and time. Raises Rejected."""
    announcement = authentic(value, subkey)
    if announcement.swarm != swarm:
        raise Rejected(Reason.WRONG_SWARM)
    if announcement.round != round:
        raise Rejected(Reason.WRONG_ROUND)
    if announcement.stage != stage:
        raise Rejected(Reason.WRONG_STAGE)
    check_time(announcement, now)
    return announcement


def check_time(announcement: Announcement, now: float) -> None:
    """Raises Rejected if the announcement is over, or would last too long."""
    if announcement.expires <= now:
        raise Rejected(Reason.EXPIRED)
    if announcement.expires > now + HORIZON_S:
        raise Rejected(Reason.FAR_EXPIRATION)


@lru_cache(maxsize=8_192)  # the same records come back with every look at the DHT, from every holder
def _authentic(value: bytes, subkey: str) -> Announcement | Reason:
    try:
        return _prove(value, subkey)
    except Rejected as verdict:
        return verdict.reason


def _prove(value: bytes, subkey: str) -> Announcement:
    if len(value) > MAX_ANNOUNCEMENT:
        raise Rejected(Reason.TOO_LARGE)
    try:
        fields, text, public_key, signature = _split(value)
        if isinstance(version := fields.get("v"), int) and version != VERSION:
            raise Rejected(Reason.WRONG_VERSION)
        announcement = Announcement.model_validate(fields, strict=True)
    except (msgpack.UnpackException, ValidationError, ValueError, TypeError) as error:
        raise Rejected(Reason.MALFORMED) from error
    if _encode(announcement) != text:
        raise Rejected(Reason.MALFORMED)
    if announcement.peer != subkey:
        raise Rejected(Reason.WRONG_PEER)
    if peer_id_of(public_key) != subkey:
        raise Rejected(Reason.WRONG_KEY)
    if not is_signed(public_key, signature, DOMAIN + text):
        raise Rejected(Reason.BAD_SIGNATURE)
    return announcement


def _split(value: bytes) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    """Fields, signed text, public key, signature; ValueError, TypeError or UnpackException if it has another form."""
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_ANNOUNCEMENT)
    unpacker.feed(value)
    fields, end = unpacker.unpack(), unpacker.tell()
    public_key, signature = unpacker.unpack()
    if unpacker.tell() != len(value) or not isinstance(fields, dict):
        raise ValueError("not an announcement and a trailer")
    if not isinstance(public_key, bytes) or not isinstance(signature, bytes):
        raise ValueError("the trailer is not a key and a signature")
    return fields, value[:end], public_key, signature
