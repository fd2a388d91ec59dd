"""A few thousand hostile records and bodies through everything that they meet; tests/chaos has a hundred thousand."""

from __future__ import annotations

import time
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hivemind.dht.routing import DHTID
from hivemind.dht.storage import DictionaryDHTValue
from hivemind.dht.validation import DHTRecord

from services.p2p.network.holding import Serializer, Shelf, Validator
from services.p2p.trust.gate import Gate
from services.p2p.trust.originals import Originals
from services.p2p.wire.rejection import Rejected
from services.p2p.wire.validation import body_of, validate
from shared.messages import Round
from tests.hostile_kit import NAMES, Bodies, Record, Records
from tests.p2p_kit import SWARM, announcement_of, identity, rollouts_of

LIMIT = 2**20
GROWTH_MIB = 24.0  # between the end of the first tenth and the end of all


def resident_mib() -> float:
    """Of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Holder:
    """What a node does with a record that comes in a request, as hivemind does it."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.gate = Gate(SWARM, time.time, lambda reason, what: self.refused.update([reason.value]))
        round_ = Round(number=1, stage=0, opened_at=0, deadline=1)
        self.gate.open_round = lambda: round_
        self.serializer, self.validator, self.shelf = Serializer(self.gate), Validator(self.gate), Shelf(self.gate)

    def take(self, record: Record) -> bool:
        """Whether anything of it was admitted."""
        if record.subkey:
            told = DHTRecord(record.key, record.subkey, record.value, record.expiration)
            return bool(self.validator.validate(told))
        found = self.serializer.loads(record.value)
        return isinstance(found, DictionaryDHTValue) and self.validator.sift(record.key, found)


def fuzz_records(count: int, seed: int = 7) -> Holder:
    """Every one is refused for one reason, and counted once."""
    holder, sent = Holder(), Counter()
    warm = None
    for number, record in enumerate(islice(Records(seed, time.time()), count)):
        sent[record.kind] += 1
        assert not holder.take(record), record
        assert holder.refused.total() == number + 1, record
        warm = resident_mib() if number == count // 10 else warm
    assert resident_mib() - warm < GROWTH_MIB
    assert len(holder.shelf.data) == len(holder.gate._places) == 0
    assert min(sent.values()) >= count // (2 * len(sent))
    return holder


def fuzz_bodies(count: int, seed: int = 7) -> Counter[str]:
    refused: Counter[str] = Counter()
    warm = None
    for number, (kind, body, announced) in enumerate(islice(Bodies(seed), count)):
        with pytest.raises(Rejected) as verdict:
            validate(body, announced, limit=LIMIT)
            pytest.fail(f"{kind} passed: {body[:300]!r}")
        refused[verdict.value.reason.value] += 1
        warm = resident_mib() if number == max(count // 10, 60) else warm
    assert refused.total() == count
    assert resident_mib() - warm < GROWTH_MIB
    return refused


def test_no_hostile_record_is_admitted_breaks_anything_or_goes_uncounted():
    refused = fuzz_records(3_000).refused
    assert set(refused) >= {
        "malformed", "too_large", "wrong_swarm", "wrong_place", "wrong_peer", "wrong_key", "bad_signature",
        "far_expiration", "wrong_expiration", "future_round",
    }, refused  # fmt: skip


def test_no_hostile_body_passes_breaks_anything_or_goes_uncounted():
    refused = fuzz_bodies(1_500)
    assert set(refused) == {"malformed", "too_large", "too_many", "wrong_peer", "wrong_round"}, refused


def test_signature_markers_in_a_text_are_text():
    for marks in ("[signature:x]", "[owner:ssh-rsa AAAA]", "\x00"):
        rollouts = rollouts_of(identity(NAMES[0]).peer_id, text=marks)
        body = body_of(rollouts)
        assert validate(body, announcement_of(identity(NAMES[0]), body), limit=LIMIT) == rollouts
        assert Originals(42).judge(rollouts) == "original"


def test_a_replayed_record_takes_no_memory():
    holder, now = Holder(), time.time()
    told = announcement_of(identity(NAMES[0]), b"body", expires=now + 600)
    key = DHTID.generate(source="key")
    for _ in range(1_000):
        holder.shelf.store_subkey(key, told.peer, b"value", told.expires)
    assert len(holder.shelf.expiration_heap) == 1
    assert len(holder.shelf.data[key].value.expiration_heap) == 1
