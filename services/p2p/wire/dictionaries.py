"""A DHT dictionary as hivemind packs it, taken apart without unpacking what strangers put in. Pure.

    ext 0x50 ( [maxsize, latest expiration, [[subkey, value, expiration], ...]] )

hivemind's own reader follows nested extension types one inside the other, each on a stack frame of 40 KB: 400 of them,
in a message of two kilobytes, end the process. Here nothing is unpacked before its size and form are known, and one bad
entry costs the others nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import msgpack

DICTIONARY = 0x50  # hivemind's extension type
MAX_ENTRIES = 4_096  # of one dictionary; a message has no room for more announcements
MAX_SUBKEY, MAX_VALUE = 256, 4_096  # bytes, packed; a value that is just bytes may be longer
MAX_ENTRY = 262_144  # bytes of an entry: where the bridge to stock nodes is on, theirs are long
LIST_OF_3 = b"\x93"
EXTENSION = frozenset([*range(0xC7, 0xCA), *range(0xD4, 0xD9)])  # first byte of an extension type
BINARY = frozenset(range(0xC4, 0xC7))  # first byte of bytes

Entry = tuple[str, bytes, float]
"""Subkey, value (packed), expiration in unix seconds."""

MALFORMED = (msgpack.UnpackException, ValueError, TypeError, RecursionError)


def plain(packed: object, limit: int = MAX_VALUE) -> object:
    """The msgpack object in these bytes; None if it is not exactly one, or bigger than `limit` and not just bytes.

    Bytes and text of any size take no more memory than they have; anything else might take a hundred times as much.
    """
    if not isinstance(packed, bytes) or not packed or (len(packed) > limit and packed[0] not in BINARY):
        return None
    try:
        return msgpack.unpackb(packed)
    except MALFORMED:
        return None


def is_dictionary(packed: bytes) -> bool:
    """Whether these bytes claim to be a dictionary."""
    return packed[:1] != b"" and packed[0] in EXTENSION


def entries_of(packed: bytes) -> Iterator[Entry | bytes]:
    """The entries of a packed dictionary; as they are, those of another form. Raises ValueError if it is none."""
    try:
        outer = msgpack.unpackb(packed, max_ext_len=len(packed))
        if not isinstance(outer, msgpack.ExtType) or outer.code != DICTIONARY:
            raise ValueError("another extension type")
        yield from _entries(outer.data)
    except MALFORMED as error:
        raise ValueError(f"not a dictionary: {error}") from error


def _entries(content: bytes) -> Iterator[Entry | bytes]:
    unpacker = msgpack.Unpacker(max_buffer_size=len(content) + 1)
    unpacker.feed(content)
    if unpacker.read_array_header() != 3:
        raise ValueError("not three parts")
    unpacker.skip()
    unpacker.skip()
    for _ in range(min(unpacker.read_array_header(), MAX_ENTRIES)):
        begin = unpacker.tell()
        unpacker.skip()  # takes no memory, whatever it is
        part = content[begin : unpacker.tell()]
        yield _entry(part) or part


def _entry(packed: bytes) -> Entry | None:
    if len(packed) > MAX_ENTRY or packed[:1] != LIST_OF_3:
        return None
    unpacker, ends = msgpack.Unpacker(max_buffer_size=MAX_ENTRY), [1]
    unpacker.feed(packed)
    unpacker.read_array_header()
    for _ in range(3):
        unpacker.skip()
        ends.append(unpacker.tell())
    subkey, value, expiration = (plain(packed[begin:end], MAX_SUBKEY) for begin, end in pairwise(ends))
    if not isinstance(subkey, str) or not isinstance(value, bytes) or not isinstance(expiration, float):
        return None
    return (subkey, value, expiration) if math.isfinite(expiration) else None
