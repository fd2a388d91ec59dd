"""Hostile records and bodies: made by hand, put together at random, always the same for a seed. No two are alike."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

import msgpack

from services.p2p.wire.announcement import DOMAIN, Announcement, place_id, sign
from services.p2p.wire.validation import body_of
from tests.p2p_kit import SWARM, announcement_of, identity, rollouts_of

NAMES = ("eve", "mallory", "trudy", "oscar")
MARKS = ("[signature:", "[owner:", "</answer>", "\x00", "\u202e", "\\u0000", "${jndi:", "%s%n", "__reduce__", "\ud7ff")
BIG = 50 * 2**20  # bytes


@dataclass(frozen=True)
class Record:
    """What a stranger asks a holder to store."""

    kind: str
    key: bytes
    subkey: bytes  # packed; b"" for a whole dictionary
    value: bytes  # packed
    expiration: float


def noise(random: Random, depth: int = 3) -> object:
    """Any object that msgpack and JSON know."""
    made: list[Callable[[], object]] = [
        lambda: None,
        lambda: random.random() < 0.5,
        lambda: random.getrandbits(random.choice((1, 8, 31, 63))) * random.choice((1, -1)),
        lambda: random.choice((0.5, 1e308, -0.0, random.random())),
        lambda: random.choice(MARKS) * random.randrange(1, 4),
        lambda: str(random.getrandbits(40)),
    ]
    if depth:
        made += [
            lambda: [noise(random, depth - 1) for _ in range(random.randrange(4))],
            lambda: {str(n): noise(random, depth - 1) for n in range(random.randrange(4))},
        ]
    return random.choice(made)()


def nested(levels: int, code: int = 0x40) -> bytes:
    """Extension types one inside the other: hivemind's reader follows them until the stack ends."""
    inner = msgpack.packb([])
    for _ in range(levels):
        inner = msgpack.packb(msgpack.ExtType(code, b"\x91" + inner))
    return inner


class Records:
    """Makes hostile records for the place of a round."""

    def __init__(self, seed: int, now: float, number: int = 1) -> None:
        self.random, self.now, self.number = Random(seed), now, number
        self.key = place_id(self._told().keys[0])
        self._good = {name: sign(self._told(name), identity(name)) for name in NAMES}
        self._turn = 0

    def _told(self, name: str = NAMES[0], **changes: object) -> Announcement:
        return announcement_of(identity(name), b"body", self.number, **{"expires": self.now + 600, **changes})

    def __iter__(self) -> Iterator[Record]:
        """For ever."""
        kinds = [getattr(self, name) for name in dir(self) if name.startswith("bad_")]
        while True:
            self._turn += 1
            make = kinds[self._turn % len(kinds)]
            yield make(self.random.choice(NAMES))

    def _record(
        self,
        make: str,
        name: str,
        value: bytes | object,
        *,
        subkey: object = None,
        key: bytes = b"",
        until: float = 0.0,
    ) -> Record:
        packed_key = msgpack.packb(identity(name).peer_id if subkey is None else subkey)
        return Record(make, key or self.key, packed_key, msgpack.packb(value), until or self.now + 600)

    def _anew(self, name: str) -> bytes:
        """Good in itself, and another each time."""
        return sign(self._told(name, size=1 + self._turn), identity(name))

    def _salted(self, value: bytes) -> bytes:
        """The same and something of its own behind it."""
        return value + msgpack.packb(self._turn)

    def bad_noise(self, name: str) -> Record:
        return self._record("noise", name, self.random.randbytes(self.random.randrange(1, 1_500)) + b"%d" % self._turn)

    def bad_objects(self, name: str) -> Record:
        return self._record("objects", name, [self._turn, noise(self.random)])

    def bad_fields(self, name: str) -> Record:
        """Well signed, but one field is of another kind."""
        fields = self._told(name).model_dump()
        fields[self.random.choice(list(fields))] = [self._turn, noise(self.random)]
        return self._record("fields", name, self._signed(fields, name))

    def bad_more_fields(self, name: str) -> Record:
        fields = {**self._told(name).model_dump(), f"x{self._turn}": noise(self.random)}
        return self._record("more_fields", name, self._signed(fields, name))

    def _signed(self, fields: object, name: str) -> bytes:
        text = msgpack.packb(fields)
        author = identity(name)
        return text + msgpack.packb([author.public_key, author.sign(DOMAIN + text)])

    def bad_truncated(self, name: str) -> Record:
        good = self._good[name]
        return self._record("truncated", name, good[: self.random.randrange(len(good))] + b"%d" % self._turn)

    def bad_flipped(self, name: str) -> Record:
        good = bytearray(self._good[name])
        for place in (self.random.randrange(len(good)), len(good) - 1 - self._turn % 250):
            good[place] ^= 1 + self.random.randrange(255)
        return self._record(
            "flipped", name, self._salted(bytes(good)) if bytes(good) == self._good[name] else bytes(good)
        )

    def bad_trailer(self, name: str) -> Record:
        return self._record("trailer", name, self._salted(self._good[name]))

    def bad_owner(self, name: str) -> Record:
        """Another's announcement under one's own name, or under that of a peer that was made up."""
        made_up = "Qm" + "".join(self.random.choices("123456789ABCDEFGHJKLMNPQRSTUVWXYZ", k=44))
        return self._record("owner", name, self._good[name], subkey=made_up)

    def bad_key(self, name: str) -> Record:
        """Signed by somebody else."""
        text = msgpack.packb(self._told(name, size=1 + self._turn).model_dump())
        other = identity(NAMES[NAMES.index(name) - 1])
        return self._record("key", name, text + msgpack.packb([other.public_key, other.sign(DOMAIN + text)]))

    def bad_replay(self, name: str) -> Record:
        """Good once, for another place."""
        return self._record("replay", name, self._good[name], key=place_id(f"rlswarm/{SWARM}/{self._turn}/1/0/0"))

    def bad_round(self, name: str) -> Record:
        """Well signed, for a round far away."""
        told = self._told(name, round=self.number + 100 + self._turn)
        return self._record("round", name, sign(told, identity(name)), key=place_id(told.keys[0]))

    def bad_expiration(self, name: str) -> Record:
        until = self.random.choice((1e12, math.inf, -math.inf, math.nan, -1.0, 0.5))
        return self._record("expiration", name, self._anew(name), until=until)

    def bad_prolonged(self, name: str) -> Record:
        return self._record("prolonged", name, self._anew(name), until=self.now + 700)

    def bad_horizon(self, name: str) -> Record:
        told = self._told(name, expires=self.now + 4_000 + self._turn)
        return self._record("horizon", name, sign(told, identity(name)), until=told.expires)

    def bad_swarm(self, name: str) -> Record:
        told = self._told(name, swarm="other", size=1 + self._turn)
        return self._record("swarm", name, sign(told, identity(name)))

    def bad_size(self, name: str) -> Record:
        return self._record("size", name, self._good[name] + self.random.randbytes(3_000))

    def bad_plain(self, name: str) -> Record:
        """A value without a subkey bricks a key in hivemind."""
        return Record("plain", self.key, msgpack.packb(None), msgpack.packb(b"x%d" % self._turn), self.now + 600)

    def bad_subkey(self, name: str) -> Record:
        odd = [self._turn, [noise(self.random)], "x" * self.random.randrange(200, 2_000), b"bytes", {}]
        value = self._salted(self._good[name])
        return self._record("subkey", name, value, subkey=self.random.choice(odd))

    def bad_nesting(self, name: str) -> Record:
        deep = self.random.choice((b"\x91" * 2_000 + b"\x90", nested(200), nested(200, 0x50), nested(200, 0x51)))
        salted = msgpack.packb([self._turn, 0])[:-1] + deep
        return Record("nesting", self.key, msgpack.packb(identity(name).peer_id), salted, self.now + 600)

    def bad_deep_dictionary(self, name: str) -> Record:
        deep = nested(150, self.random.choice((0x40, 0x50, 0x51, 0x52)))
        content = msgpack.packb([self._turn, 2e9])[:-9] + deep
        whole = msgpack.packb(msgpack.ExtType(0x50, self.random.choice((content, deep + b"%d" % self._turn))))
        return Record("deep_dictionary", self.key, b"", whole, self.now + 600)

    def bad_dictionary(self, name: str) -> Record:
        """One entry of a form of its own."""
        entry = self.random.choice(
            (
                [self._turn],
                [self._turn, b"x", 2e9],
                ["peer", self._turn, 2e9],
                ["peer", b"value", str(self._turn)],
                ["peer", msgpack.packb(b"x%d" % self._turn), math.inf],
                [identity(name).peer_id, msgpack.packb(self._salted(self._good[name])), self.now + 600],
            )
        )
        content = msgpack.packb([None, 2e9, [entry]])
        return Record("dictionary", self.key, b"", msgpack.packb(msgpack.ExtType(0x50, content)), self.now + 600)

    def bad_marks(self, name: str) -> Record:
        """What would split a signed text elsewhere."""
        text = f"{self.random.choice(MARKS)}{self._turn}"
        return self._record("marks", name, (text * 20).encode("utf-8", "surrogatepass") + self._good[name])


class Bodies:
    """Makes bodies and their announcements; hostile in form, or by what they hold."""

    def __init__(self, seed: int, name: str = NAMES[0]) -> None:
        self.random, self.author = Random(seed), identity(name)
        self._good = json.loads(body_of(rollouts_of(self.author.peer_id)))
        self._turn = 0

    def __iter__(self) -> Iterator[tuple[str, bytes, Announcement]]:
        """For ever: kind, body, what is announced of it."""
        kinds = [name for name in dir(self) if name.startswith("bad_")]
        while True:
            self._turn += 1
            kind = kinds[self._turn % len(kinds)]
            body = getattr(self, kind)()
            yield kind.removeprefix("bad_"), body, announcement_of(self.author, body)

    def _with(self, **fields: object) -> bytes:
        return json.dumps({**self._good, **fields}).encode("utf-8", "surrogatepass")

    def _group(self, **question: object) -> list[object]:
        group = self._good["groups"][0]
        return [{**group, "question": {**group["question"], **question}}]

    def bad_noise(self) -> bytes:
        return self.random.randbytes(self.random.randrange(1, 5_000))

    def bad_objects(self) -> bytes:
        return json.dumps([self._turn, noise(self.random, 5)]).encode("utf-8", "surrogatepass")

    def bad_fields(self) -> bytes:
        return self._with(**{self.random.choice(list(self._good)): [self._turn, noise(self.random)]})

    def bad_more_fields(self) -> bytes:
        return self._with(**{f"x{self._turn}": noise(self.random)})

    def bad_question(self) -> bytes:
        field = self.random.choice(("text", "answer", "dataset", "metadata", "other"))
        return self._with(groups=self._group(**{field: [self._turn, noise(self.random)]}))

    def bad_completions(self) -> bytes:
        bad = self.random.choice(([], [noise(self.random)], "x", [{"text": str(self._turn), "finished": "yes"}]))
        return self._with(groups=[{**self._good["groups"][0], "completions": bad}])

    def bad_numbers(self) -> bytes:
        number = self.random.choice(("NaN", "Infinity", "-Infinity", "1e999", "9" * 5_000, "0x10", "1.", "--1"))
        return self._with().replace(b'"difficulty": 1', b'"difficulty": %s' % number.encode(), 1)

    def bad_depth(self) -> bytes:
        levels = self.random.choice((250, 5_000, 400_000))
        opening, closing = self.random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        inside = opening * levels + b"1" + closing * self.random.choice((levels, 0))
        return self._with().replace(b'"difficulty": 1', b'"difficulty": ' + inside, 1)

    def bad_truncated(self) -> bytes:
        whole = self._with()
        return whole[: self.random.randrange(1, len(whole) - 1)]

    def bad_crowd(self) -> bytes:
        return self._with(groups=self._good["groups"] * self.random.randrange(257, 300))

    def bad_texts(self) -> bytes:
        return self._with(
            groups=self._group(text=self.random.choice(MARKS) + "x" * self.random.randrange(20_001, 30_000))
        )

    def bad_peer(self) -> bytes:
        return body_of(rollouts_of(identity(NAMES[1]).peer_id, text=str(self._turn)))

    def bad_place(self) -> bytes:
        return body_of(rollouts_of(self.author.peer_id, 2 + self._turn, stage=self._turn % 3))

    def bad_unicode(self) -> bytes:
        return self._with().replace(
            b"2 + 2", self.random.choice((b"\xff\xfe", b"\\ud800", b"\xed\xa0\x80", b"\xc0\x80")), 1
        )

    def bad_size(self) -> bytes:
        if self._turn % 1_000 > 30:
            return self._with(groups=self._group(metadata={"x": "y" * 2**20}))
        return b"[" + b" " * BIG + b"]"


def digest(body: bytes) -> str:
    """The name of a body."""
    return sha256(body).hexdigest()
