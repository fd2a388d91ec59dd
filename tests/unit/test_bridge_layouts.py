import random
import struct
import tracemalloc

import msgpack
import pytest

from services.p2p.bridge.layouts import MAX_DEPTH, MAX_ITEMS, MAX_VALUE, Unreadable, read, write
from services.p2p.bridge.payloads import groups_of
from tests.stock_kit import LAYOUTS, batches, number, numbered, packed, payload, tagged

TREE = {"a": [1, -1, 2**40, 0.5, True, False, None, "é"], "b": {"c": {}}, "d": payload()}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_tree_comes_out_of_either_layout_as_it_went_in(layout):
    assert read(layout(TREE)) == TREE
    for leaf in (0, "", None, False, -(2**63), 1e-9):
        assert read(layout(leaf)) == leaf


def test_the_number_by_which_the_older_layout_names_a_batch_becomes_the_name_of_the_newer():
    tree = batches(payload(), payload(question="1 + 1"))
    assert read(tagged(numbered(tree))) == tree
    for odd in ({-1: []}, {2**128: []}, {"a": {1: 2}}):
        with pytest.raises(Unreadable):
            read(tagged(odd))


def test_what_is_written_is_the_newer_layout():
    assert write(TREE) == packed(TREE)


def nested(depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    return tree


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    "tree",
    [float("nan"), float("inf"), nested(MAX_DEPTH + 1), nested(200), ["x"] * (MAX_ITEMS + 1), [["x"] * 1_000] * 17],
    ids=["nan", "inf", "deep", "deeper", "long", "much"],
)
def test_no_odd_tree_comes_out_of_either_layout(layout, tree):
    with pytest.raises(Unreadable):
        read(layout(tree))


def test_a_tree_of_just_the_greatest_depth_is_read():
    assert read(packed(nested(MAX_DEPTH - 1)))
    assert read(tagged(nested(MAX_DEPTH - 1)))


ODD = {
    "empty": b"",
    "bytes": packed(b"x"),
    "a moment": msgpack.packb(msgpack.Timestamp(1, 2)),
    "an extension": msgpack.packb(msgpack.ExtType(4, b"")),
    "a number as key": packed({1: 2}),
    "a key of bytes": packed({b"a": 2}),
    "two objects": packed(1) + packed(2),
    "broken text": b"\xa1\xff",
    "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
    "a map of four thousand million": b"\xdf\xff\xff\xff\xff",
    "a text of four thousand million": b"\xdb\xff\xff\xff\xff",
    "an unused code": b"\xc1",
    "lists in lists in lists": b"\xdc\x08\x00" * 40_000,
    "tag 0": number(0),
    "tag 10": number(10),
    "a tag alone": number(1),
    "a list of 2^64": number(1) + b"\xff" * 8,
    "a text that breaks off": number(3) + number(5) + b"four",
    "a text that is none": number(3) + number(1) + b"\xff",
    "something behind": number(9) + b"\0",
    "a truth that is none": number(6) + b"2",
    "a key that is none": number(2) + number(1) + number(9) + number(9),
    "half a fraction": number(5) + number(4) + b"\0" * 4,
    "no number": number(5) + number(8) + struct.pack(">d", float("nan")),
    "a number of 65 bytes": number(4) + number(65) + b"\0" * 65,
    "a number beyond 64 bits": number(4) + number(9) + b"\x7f" + b"\0" * 8,
    "objects in objects": number(7) * 200,
    "4 MiB": b"\0" * 2**22,
    "4 MiB of lists": b"\x91" * 2**22,
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_what_is_not_a_tree_is_refused_in_one_way(value):
    with pytest.raises(Unreadable):
        read(value)


def hostile(source: random.Random) -> bytes:
    """A value that is nearly right, or nothing like it."""
    layout = source.choice(list(LAYOUTS.values()))
    good = bytearray(layout(batches(*(payload(question=f"{n} + 2") for n in range(source.randrange(1, 4))))))
    for _ in range(source.randrange(1, 6)):
        match source.randrange(6):
            case 0:
                del good[source.randrange(len(good) + 1) :]
            case 1 if good:
                good[source.randrange(len(good))] = source.randrange(256)
            case 2:
                where = source.randrange(len(good) + 1)
                good[where:where] = source.randbytes(source.randrange(64))
            case 3:
                where = source.randrange(len(good) + 1)
                counts = [number(2**63), number(2**31), number(7), b"\xdd\xff\xff\xff\xff"]
                good[where : where + 8] = source.choice(counts)
            case 4:
                good = good * source.choice([1, 2, 50]) if len(good) < MAX_VALUE else good
            case 5:
                good[:0] = source.choice([b"\x91", b"\x81\xa1a", number(1) + number(1)]) * source.randrange(1, 600)
    return bytes(good)


def test_thousands_of_hostile_values_give_groups_or_the_one_error_in_little_memory():
    source, refused, most = random.Random(7), 0, 0
    tracemalloc.start()
    for _ in range(4_000):
        value = hostile(source)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        try:
            groups_of(value)
        except Unreadable:
            refused += 1
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    assert refused > 3_000
    assert most < 16 * MAX_VALUE
