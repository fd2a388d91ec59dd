"""Announcements: who wrote them, for which place and until when is beyond doubt, whatever else comes in."""

from __future__ import annotations

import time

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.wire import announcement as module
from services.p2p.wire.announcement import DOMAIN, MAX_ANNOUNCEMENT, sign, verify
from services.p2p.wire.rejection import Reason, Rejected
from tests.p2p_kit import SWARM, announcement_of, identity

ANN, EVE = "ann", "eve"
BODY = b"body"


def check(
    value: bytes, *, number: int = 1, stage: int = 0, swarm: str = SWARM, now: float | None = None, who: str = ANN
):
    return verify(value, swarm=swarm, round=number, stage=stage, now=now or time.time(), subkey=identity(who).peer_id)


def reason_of(value: bytes, **where) -> Reason:
    with pytest.raises(Rejected) as verdict:
        check(value, **where)
    return verdict.value.reason


def parts(value: bytes) -> tuple[dict, list]:
    unpacker = msgpack.Unpacker()
    unpacker.feed(value)
    return unpacker.unpack(), unpacker.unpack()


def resigned(fields: dict, who: str = ANN) -> bytes:
    """Any fields at all, under a good signature."""
    text = msgpack.packb(fields)
    author = identity(who)
    return text + msgpack.packb([author.public_key, author.sign(DOMAIN + text)])


def test_what_was_signed_comes_out_again():
    told = announcement_of(identity(ANN), BODY)
    value = sign(told, identity(ANN))
    assert check(value) == told
    assert len(value) < MAX_ANNOUNCEMENT / 2
    assert told.keys == ("rlswarm/lab/1/0/0/0",)


def test_a_reader_that_knows_no_trailer_decodes_the_announcement():
    told = announcement_of(identity(ANN), BODY)
    assert parts(sign(told, identity(ANN)))[0] == told.model_dump()


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"swarm": "other"}, Reason.WRONG_SWARM),
        ({"number": 2}, Reason.WRONG_ROUND),
        ({"stage": 1}, Reason.WRONG_STAGE),
        ({"who": EVE}, Reason.WRONG_PEER),
        ({"now": time.time() + 1_000}, Reason.EXPIRED),
        ({"now": time.time() - 10_000}, Reason.FAR_EXPIRATION),
    ],
)
def test_an_announcement_holds_only_where_and_when_it_says(where, reason):
    assert reason_of(sign(announcement_of(identity(ANN), BODY), identity(ANN)), **where) is reason


def test_nobody_signs_for_another():
    told = announcement_of(identity(ANN), BODY)
    assert reason_of(sign(told, identity(EVE))) is Reason.WRONG_KEY


def test_a_changed_announcement_keeps_no_signature():
    value = sign(announcement_of(identity(ANN), BODY), identity(ANN))
    other = sign(announcement_of(identity(ANN), BODY, size=5), identity(ANN))
    fields, trailer = parts(value)
    mixed = msgpack.packb(parts(other)[0]) + msgpack.packb(trailer)
    assert reason_of(mixed) is Reason.BAD_SIGNATURE
    assert reason_of(msgpack.packb(fields) + msgpack.packb([trailer[0], b""])) is Reason.BAD_SIGNATURE


def test_a_signature_for_another_purpose_does_not_pass():
    author = identity(ANN)
    text = msgpack.packb(announcement_of(author, BODY).model_dump())
    assert reason_of(text + msgpack.packb([author.public_key, author.sign(text)])) is Reason.BAD_SIGNATURE


def test_a_later_version_is_told_apart_from_rubbish():
    fields = {**announcement_of(identity(ANN), BODY).model_dump(), "v": 2, "news": True}
    assert reason_of(resigned(fields)) is Reason.WRONG_VERSION


def test_there_is_one_encoding_only():
    fields = announcement_of(identity(ANN), BODY).model_dump()
    turned = dict(reversed(fields.items()))
    assert reason_of(resigned(turned)) is Reason.MALFORMED
    assert reason_of(resigned({**fields, "expires": int(fields["expires"])})) is Reason.MALFORMED


def rubbish() -> dict[str, bytes]:
    good = sign(announcement_of(identity(ANN), BODY), identity(ANN))
    fields, trailer = parts(good)
    text, tail = msgpack.packb(fields), msgpack.packb(trailer)
    return {
        "nothing": b"",
        "not msgpack": b"\xc1" * 20,
        "text": b"hello",
        "cut": good[:-1],
        "no trailer": text,
        "more behind": good + b"\x00",
        "a list": msgpack.packb([1, 2]) + tail,
        "a trailer of one": text + msgpack.packb([trailer[0]]),
        "a trailer of text": text + msgpack.packb(["a", "b"]),
        "a trailer of no list": text + msgpack.packb(7),
        "deep": b"\x91" * 1_200 + tail,
        "unhashable keys": b"\x81\x90\x01" + tail,
        "extension type": msgpack.packb(msgpack.ExtType(5, b"x")) + tail,
        "not a number": resigned({**fields, "expires": float("nan")}),
        "infinite": resigned({**fields, "expires": float("inf")}),
        "text for a number": resigned({**fields, "round": "1"}),
        "negative": resigned({**fields, "round": -1}),
        "huge": resigned({**fields, "round": 2**63}),
        "no size": resigned({**fields, "size": 0}),
        "too many groups": resigned({**fields, "groups": 100_000}),
        "more informative groups than groups": resigned({**fields, "informative": 2}),
        "a level beyond the last": resigned({**fields, "level": 17}),
        "short hash": resigned({**fields, "sha256": "ab"}),
        "strange peer": resigned({**fields, "peer": "../../etc"}),
        "one more field": resigned({**fields, "extra": 1}),
        "one less field": resigned({name: value for name, value in fields.items() if name != "swarm"}),
        "no version": resigned({**fields, "v": None}),
        "bool for a number": resigned({**fields, "stage": False}),
    }


@pytest.mark.parametrize("kind", rubbish())
def test_rubbish_is_malformed(kind):
    assert reason_of(rubbish()[kind]) is Reason.MALFORMED


def test_a_large_one_is_not_even_read():
    assert reason_of(b"\x00" * (MAX_ANNOUNCEMENT + 1)) is Reason.TOO_LARGE


@given(st.binary(max_size=MAX_ANNOUNCEMENT + 10))
def test_no_bytes_make_it_raise_anything_else(value):
    with pytest.raises(Rejected):
        check(value)


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=255))
def test_no_flipped_bit_passes(position, change):
    value = bytearray(GOOD)
    value[position % len(value)] ^= change
    with pytest.raises(Rejected):
        check(bytes(value), now=NOW)


NOW = time.time()
GOOD = sign(announcement_of(identity(ANN), BODY), identity(ANN))


def test_the_same_record_is_proven_once():
    module._authentic.cache_clear()
    for _ in range(5):
        check(GOOD, now=NOW)
    assert module._authentic.cache_info().misses == 1
