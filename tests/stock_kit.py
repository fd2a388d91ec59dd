"""What stock RL Swarm nodes write, made without GenRL."""

from __future__ import annotations

import struct
from hashlib import md5

import msgpack

TAGS = {list: 1, dict: 2, str: 3, int: 4, float: 5, bool: 6, type(None): 9}
OBJECTS = {"Payload": 7, "WorldState": 8}


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def tagged(tree) -> bytes:
    """A tree in the layout of GenRL 0.1.x."""
    if isinstance(tree, dict) and "__type__" in tree:
        parts = [part for key, part in tree.items() if key != "__type__"]
        return number(OBJECTS[tree["__type__"]]) + b"".join(map(tagged, parts))
    return number(TAGS[type(tree)]) + _content(tree)


def _content(tree) -> bytes:
    if tree is None:
        return b""
    if isinstance(tree, bool):
        return b"1" if tree else b"0"
    if isinstance(tree, list):
        return number(len(tree)) + b"".join(map(tagged, tree))
    if isinstance(tree, dict):
        return number(len(tree)) + b"".join(tagged(key) + tagged(part) for key, part in tree.items())
    plain = _plain(tree)
    return number(len(plain)) + plain


def _plain(leaf: str | int | float) -> bytes:
    if isinstance(leaf, int):
        return leaf.to_bytes(28, "big", signed=True)
    return leaf.encode() if isinstance(leaf, str) else struct.pack(">d", leaf)


def packed(tree) -> bytes:
    """A tree in the layout of GenRL 0.3.0."""
    return msgpack.packb(tree, use_bin_type=True)


LAYOUTS = {"0.3.0": packed, "0.1.x": tagged}


def payload(question="2 + 2", answer="4", actions=("<answer>4</answer>", "5"), metadata=None, **changes) -> dict:
    told = {"source_dataset": "basic_arithmetic", "source_index": 3} if metadata is None else metadata
    world = {
        "__type__": "WorldState",
        "environment_states": {"question": question, "answer": answer, "metadata": told},
        "opponent_states": None,
        "personal_states": None,
    }
    whole = {"__type__": "Payload", "world_state": world, "actions": list(actions), "metadata": None}
    return {**whole, **changes}


def batches(*payloads: dict) -> dict:
    """As a stock node sends them."""
    found: dict[str, list] = {}
    for one in payloads:
        question = one["world_state"]["environment_states"]["question"]
        found.setdefault(md5(question.encode()).hexdigest(), []).append(one)
    return found


def numbered(tree: dict) -> dict:
    """Batches named as 0.1.x names them."""
    return {int(name, 16): part for name, part in tree.items()}


def value(actions=("<answer>4</answer>", "5"), question="2 + 2", layout=packed) -> bytes:
    return layout(batches(payload(question=question, actions=actions)))
