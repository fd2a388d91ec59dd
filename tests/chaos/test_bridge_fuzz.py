"""A hundred thousand hostile values under a stock node's key: each is refused in the one way, and memory stays flat."""

from __future__ import annotations

import random
from collections import Counter

import psutil
import pytest

from services.p2p.bridge.door import Door, key_of
from services.p2p.bridge.layouts import Unreadable, read
from services.p2p.trust.gate import Gate
from services.p2p.wire.announcement import place_id
from tests.p2p_kit import SWARM, identity
from tests.unit.test_bridge_layouts import ODD, hostile

pytestmark = pytest.mark.timeout(300)

VALUES = 100_000
MEGABYTES = 48  # a few values of the greatest size, unpacked


def test_a_hundred_thousand_hostile_values_are_counted_and_leave_nothing_behind():
    source, refused, process = random.Random(11), Counter(), psutil.Process()
    gate = Gate(SWARM, lambda: 1_000.0, lambda reason, what: refused.update([reason]))
    gate.door = Door()
    gate.door.open(7)
    peer, key, odd = identity("fuzz").peer_id, place_id(key_of(7)), list(ODD.values())
    admitted = before = 0
    for number in range(VALUES):
        if number == VALUES // 10:
            before = process.memory_info().rss
        value = odd[number % len(odd)] if number % 50 == 0 else hostile(source)
        if gate.admit(key, peer, value, 1_600.0):
            admitted += 1
            assert readable(value)
    assert sum(refused.values()) + admitted == VALUES
    assert admitted < VALUES // 4
    grown = (process.memory_info().rss - before) / 2**20
    print(f"{VALUES} values: {dict(refused)}, {admitted} admitted; memory grew by {grown:.1f} MiB")
    assert grown < MEGABYTES


def readable(value: bytes) -> bool:
    try:
        return bool(read(value))
    except Unreadable:
        return False
