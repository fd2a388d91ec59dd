"""DHT dictionaries as strangers pack them."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.p2p.wire import dictionaries as module
from services.p2p.wire.dictionaries import DICTIONARY, MAX_ENTRY, entries_of, is_dictionary, plain

GOOD = ["peer", b"value", 2e9]


def packed(items, *, code: int = DICTIONARY, head=(None, 2e9)) -> bytes:
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb([*head, items])))


def nested(levels: int, code: int = 0x40) -> bytes:
    """Extension types one inside the other: hivemind's reader follows them until the stack ends."""
    inner = msgpack.packb([])
    for _ in range(levels):
        inner = msgpack.packb(msgpack.ExtType(code, b"\x91" + inner))
    return inner


def test_the_entries_come_out_as_they_went_in():
    items = [["a", b"1", 1.5], ["b", b"", 2.0], ["c", b"v" * 100_000, 2.5]]
    assert is_dictionary(packed(items))
    assert list(entries_of(packed(items))) == [tuple(item) for item in items]
    assert list(entries_of(packed([]))) == []


@pytest.mark.parametrize(
    "bad",
    [
        None, 7, [], ["peer", b"value"], [*GOOD, 1], [1, b"value", 2e9], ["peer", "value", 2e9], ["peer", b"value", 2],
        ["peer", b"value", float("nan")], ["peer", b"value", float("inf")], ["peer", b"v" * MAX_ENTRY, 2e9],
        [msgpack.ExtType(0x40, nested(400)), b"value", 2e9], [["x"] * 5_000, b"value", 2e9],
    ],
)  # fmt: skip
def test_a_bad_entry_costs_only_itself(bad):
    found = list(entries_of(packed([GOOD, bad, GOOD])))
    assert [found[0], found[2]] == [tuple(GOOD)] * 2
    assert found[1] == msgpack.packb(bad)


@pytest.mark.parametrize(
    "value",
    [
        msgpack.packb("text"), packed([GOOD], code=0x40), packed([GOOD], code=0x51), packed([GOOD])[:-3],
        msgpack.packb(msgpack.ExtType(DICTIONARY, b"")), msgpack.packb(msgpack.ExtType(DICTIONARY, b"\xc1")),
        msgpack.packb(msgpack.ExtType(DICTIONARY, msgpack.packb([1, 2]))), packed(7), packed([GOOD]) + b"x",
        nested(5_000), nested(5_000, DICTIONARY), b"\xc9\xff\xff\xff\xff\x50",
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"."):
        list(entries_of(value))


def test_a_deep_list_inside_ends_nothing():
    deep = b"\x91" * 100_000 + b"\x90"
    content = b"\x93\xc0\xc0\x91" + deep
    with pytest.raises(ValueError, match="not a dictionary"):
        list(entries_of(msgpack.packb(msgpack.ExtType(DICTIONARY, content))))
    assert plain(deep) is None
    assert plain(deep[-500:]) is not None


def test_so_many_entries_are_looked_at(monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    assert len(list(entries_of(packed([GOOD] * 10)))) == 3


def test_plain_objects_are_small_or_bytes():
    assert plain(msgpack.packb("subkey")) == "subkey"
    assert plain(msgpack.packb(b"x" * 10**6)) == b"x" * 10**6
    for bad in ("text", b"", b"\xc1", msgpack.packb("x" * 10**4), msgpack.packb([[]] * 10**4), msgpack.packb(1) + b"x"):
        assert plain(bad) is None
    assert isinstance(plain(msgpack.packb(msgpack.ExtType(0x40, nested(400)))), msgpack.ExtType)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_do_more_than_a_value_error(noise):
    for value in (noise, msgpack.packb(msgpack.ExtType(DICTIONARY, noise)), b"\xc7\x05" + noise):
        plain(value)
        if is_dictionary(value):
            try:
                list(entries_of(value))
            except ValueError:
                continue
