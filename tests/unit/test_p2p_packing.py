"""A body that travels compressed: what comes back is the body that was announced, or a reason."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.wire.packing import pack, unpack
from services.p2p.wire.rejection import Reason, Rejected


@given(st.binary(max_size=5_000))
def test_what_is_packed_unpacks_into_itself(body):
    assert unpack(pack(body), len(body)) == body


def test_eight_answers_to_one_question_shrink_to_a_fraction():
    body = b"Let me think: 17 is prime, and 4 is not. <answer>17</answer>" * 64
    assert len(pack(body)) < len(body) / 10


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", Reason.MALFORMED),
        (b"{}", Reason.MALFORMED),
        (pack(b"body")[:-1], Reason.MALFORMED),
        (pack(b"body") + b"!", Reason.MALFORMED),
        (pack(b"body")[:-1] + b"!", Reason.MALFORMED),  # the checksum
        (pack(b"body!"), Reason.WRONG_HASH),
        (pack(b"x" * 2**26), Reason.WRONG_HASH),
    ],
)
def test_what_is_no_whole_stream_of_so_many_bytes_is_rejected(packed, reason):
    with pytest.raises(Rejected) as verdict:
        unpack(packed, 4)
    assert verdict.value.reason is reason


@given(st.binary(max_size=300), st.integers(0, 100))
def test_no_bytes_break_it_or_give_more_than_the_size(packed, size):
    for stream in (packed, zlib.compress(packed)[: size + 2]):
        try:
            assert len(unpack(stream, size)) <= size
        except Rejected as verdict:
            assert verdict.reason in {Reason.MALFORMED, Reason.WRONG_HASH}
