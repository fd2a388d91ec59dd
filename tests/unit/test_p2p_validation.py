"""Bodies: what a peer sent is what it announced, of the round, and harmless; or it is dropped with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.wire.rejection import Reason, Rejected
from services.p2p.wire.validation import body_of, validate
from shared.messages import MAX_COMPLETIONS, MAX_GROUPS, MAX_TEXT
from shared.streams import ROLLOUTS_PEER
from tests.p2p_kit import announcement_of, identity, rollouts_of

ANN = identity("ann")
GOOD = rollouts_of(ANN.peer_id)
LIMIT = 2**20


def reason_of(body: bytes, **announced) -> Reason:
    with pytest.raises(Rejected) as verdict:
        validate(body, announcement_of(ANN, body, **announced), limit=LIMIT)
    return verdict.value.reason


def changed(**fields) -> bytes:
    return json.dumps({**json.loads(body_of(GOOD)), **fields}).encode()


def with_metadata(text: str) -> bytes:
    return body_of(GOOD).replace(b'"metadata":{"difficulty":1', b'"metadata":{"x":%s' % text.encode())


def test_a_good_body_passes_and_can_be_published():
    body = body_of(GOOD)
    rollouts = validate(body, announcement_of(ANN, body), limit=LIMIT)
    assert rollouts == GOOD
    assert ROLLOUTS_PEER.decode(ROLLOUTS_PEER.encode(rollouts)) == GOOD


def test_whether_it_is_signed_is_seen_and_never_told():
    assert b"signed" not in body_of(GOOD)
    for mark in (True, False):
        assert reason_of(changed(signed=mark)) is Reason.MALFORMED


def test_size_and_hash_are_those_announced():
    body = body_of(GOOD)
    told = announcement_of(ANN, body)
    for other in (b"", body[:-1], body + b" ", b"x" * len(body)):
        with pytest.raises(Rejected) as verdict:
            validate(other, told, limit=LIMIT)
        assert verdict.value.reason is Reason.WRONG_HASH
    with pytest.raises(Rejected) as verdict:
        validate(body, told, limit=10)
    assert verdict.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (changed(peer_id=identity("eve").peer_id), Reason.WRONG_PEER),
        (changed(round=2), Reason.WRONG_ROUND),
        (changed(stage=1), Reason.WRONG_STAGE),
        (changed(groups=json.loads(body_of(GOOD))["groups"] * 2), Reason.WRONG_COUNT),
        (changed(groups=json.loads(body_of(GOOD))["groups"] * (MAX_GROUPS + 1)), Reason.TOO_MANY),
        (
            body_of(GOOD).replace(
                b'"completions":[', b'"completions":[' + b'{"text":"","finished":true},' * MAX_COMPLETIONS
            ),
            Reason.TOO_MANY,
        ),
        (body_of(GOOD).replace(b'"5"', b'"' + b"5" * (MAX_TEXT + 1) + b'"'), Reason.MALFORMED),
        (changed(groups=[]), Reason.MALFORMED),
        (changed(round="1"), Reason.MALFORMED),
        (changed(round=1.0), Reason.MALFORMED),
        (changed(round=-1), Reason.MALFORMED),
        (changed(informative=2), Reason.MALFORMED),
        (changed(extra=1), Reason.MALFORMED),
        (changed(peer_id="x"), Reason.MALFORMED),
        (b"null", Reason.MALFORMED),
        (b"{", Reason.MALFORMED),
        (b"\x80\x04K\x01.", Reason.MALFORMED),  # a pickle
        (body_of(GOOD).replace(b"2 + 2", b"\xff\xfe"), Reason.MALFORMED),
        (body_of(GOOD).replace(b"2 + 2", b"\\ud800"), Reason.MALFORMED),
        (with_metadata("NaN"), Reason.MALFORMED),
        (with_metadata("1e999"), Reason.MALFORMED),
        (with_metadata("[" * 100_000 + "]" * 100_000), Reason.MALFORMED),
        (with_metadata("[" * 100_000), Reason.MALFORMED),
        (with_metadata("9" * 5_000), Reason.MALFORMED),
    ],
)
def test_a_bad_body_is_dropped_with_its_reason(body, reason):
    assert reason_of(body) is reason


@given(st.binary(max_size=500))
def test_no_bytes_make_it_raise_anything_else(body):
    assert isinstance(reason_of(body, size=max(1, len(body))), Reason)


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=255))
def test_a_flipped_bit_is_dropped_or_still_good_json_of_the_same_shape(position, change):
    body = bytearray(body_of(GOOD))
    body[position % len(body)] ^= change
    told = announcement_of(ANN, bytes(body))
    try:
        rollouts = validate(bytes(body), told, limit=LIMIT)
    except Rejected:
        return
    ROLLOUTS_PEER.decode(ROLLOUTS_PEER.encode(rollouts))


def test_a_verdict_says_why():
    assert str(Rejected(Reason.LATE)) == "late"
    assert str(Rejected(Reason.LATE, "by 3 s")) == "late: by 3 s"
