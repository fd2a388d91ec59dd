"""How GenRL lays out a rollout in bytes, read and written without GenRL. Pure.

    0.3.0   msgpack; objects are maps with `__type__`
    0.1.x   a tag of 8 bytes (big-endian), then a length or count of 8 bytes, then what it says

Both become the same tree of dicts, lists, texts, numbers, booleans and None: an object of the second layout becomes the
map that the first would hold, and a hash that names a batch, there a number, its hexadecimal text. Nothing else comes
out: no bytes, no extension types, no NaN; and nothing is ever run.
A value of `MAX_VALUE` bytes cannot ask for much memory: every count is checked before room is made for it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import msgpack

MAX_VALUE = 131_072  # bytes of one peer's rollouts of a round, under the key that all share
MAX_ITEMS = 2_048  # of one list or map
MAX_NODES = 16_384  # of a tree
MAX_DEPTH = 32
WHOLE = range(-(2**63), 2**64)  # the numbers that msgpack knows; 0.1.x pads them with zeros to any length
HASHES = range(2**128)  # md5 as a number
MAX_WHOLE = 64  # bytes of a number

LIST, DICT, TEXT, WHOLE_NUMBER, FRACTION, TRUTH, PAYLOAD, WORLD, NOTHING = range(1, 10)
FIELDS = {  # of an object, in the order of the second layout
    PAYLOAD: ("Payload", ("world_state", "actions", "metadata")),
    WORLD: ("WorldState", ("environment_states", "opponent_states", "personal_states")),
}


class Unreadable(Exception):
    """These bytes are no rollouts of GenRL, or more of them than anybody may send."""


def read(value: bytes) -> Any:
    """The tree in these bytes, of either layout. Raises Unreadable."""
    if len(value) > MAX_VALUE:
        raise Unreadable("too long")
    # A tag has seven zero bytes in front. In msgpack that would be the number 0 with something behind it.
    tree = _Tagged(value).whole() if value[:7] == bytes(7) else _unpacked(value)
    _check(tree)
    return tree


def write(tree: Any) -> bytes:
    """The bytes of a tree, in the layout of 0.3.0."""
    return bytes(msgpack.packb(tree, use_bin_type=True))


def _unpacked(value: bytes) -> Any:
    try:
        # The lengths are bounded by the value's own; a list is made as long as its header says, before it is read.
        return msgpack.unpackb(value, raw=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0)
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def _check(tree: Any) -> None:
    """Raises Unreadable if there is anything in it but the plain kinds, or too much of them."""
    nodes, level = 0, [tree]
    for _ in range(MAX_DEPTH):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise Unreadable("too many parts")
        level = [part for node in level for part in _parts(node)]
        if not level:
            return
    raise Unreadable("nested too deeply")


def _parts(node: Any) -> list[Any]:
    kind = type(node)
    if kind is dict:
        if not all(type(key) is str for key in node):
            raise Unreadable("a key that is no text")
        return list(node.values())
    if kind is list:
        return node  # type: ignore[no-any-return]
    if kind is float and not math.isfinite(node):
        raise Unreadable("a number that is none")
    if kind is int and node not in WHOLE:
        raise Unreadable("a number beyond 64 bits")
    if node is not None and kind not in (str, int, float, bool):
        raise Unreadable(f"a {kind.__name__}")
    return []


class _Tagged:
    """A reader of the second layout. `at` never goes back, and no part is shorter than its tag."""

    def __init__(self, value: bytes) -> None:
        self._value, self._at = value, 0
        self._kinds: dict[int, Callable[[int], Any]] = {
            LIST: lambda depth: [self._part(depth) for _ in range(self._count())],
            DICT: lambda depth: dict(self._pair(depth) for _ in range(self._count())),
            TEXT: lambda depth: self._take(self._number()).decode(),
            WHOLE_NUMBER: lambda depth: int.from_bytes(self._take(self._number(MAX_WHOLE)), "big", signed=True),
            FRACTION: lambda depth: struct.unpack(">d", self._take(self._number(8)))[0],
            TRUTH: lambda depth: {b"0": False, b"1": True}[self._take(1)],
            NOTHING: lambda depth: None,
        }

    def whole(self) -> Any:
        """The one object that the bytes are. Raises Unreadable."""
        try:
            tree = self._part(0)
        except (UnicodeDecodeError, struct.error, KeyError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from error
        if self._at != len(self._value):
            raise Unreadable("something behind the end")
        return tree

    def _part(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Unreadable("nested too deeply")
        tag = self._number()
        if tag in FIELDS:
            name, fields = FIELDS[tag]
            return {"__type__": name, **{field: self._part(depth + 1) for field in fields}}
        return self._kinds[tag](depth + 1)

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self._part(depth)
        if depth == 1 and type(key) is int and key in HASHES:
            key = f"{key:032x}"
        if type(key) is not str:
            raise Unreadable("a key that is no text")
        return key, self._part(depth)

    def _take(self, size: int) -> bytes:
        taken = self._value[self._at : self._at + size]
        if len(taken) != size:
            raise Unreadable("it breaks off")
        self._at += size
        return taken

    def _number(self, most: int = MAX_VALUE) -> int:
        number = int.from_bytes(self._take(8), "big")
        if number > most:
            raise Unreadable("too long")
        return number

    def _count(self) -> int:
        return self._number(MAX_ITEMS)
