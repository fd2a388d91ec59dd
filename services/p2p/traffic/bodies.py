"""The bodies this household has announced: kept over restarts, served to whoever asks, forgotten after a few rounds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

from pydantic import BaseModel, ConfigDict, TypeAdapter

from services.p2p import metrics
from services.p2p.trust.budget import Budget
from services.p2p.trust.tally import Tally
from services.p2p.wire.packing import pack, unpack
from shared.messages import Rollouts
from shared.queue import Store

INDEX = "bodies"  # JSON list of Kept
BODY = "body:"  # + sha256
TTL_S = 3_600.0
SERVINGS = 8  # of one body to one peer: retries, not a way to use up our line
MAX_SERVINGS = 65_536  # peer and body, counted at once
ASKER_BYTES, ALL_BYTES = 64 * 2**20, 512 * 2**20  # a minute, to one peer and to all: what waits to be sent is memory


class Kept(BaseModel):
    """A body that is kept."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    peer_id: str
    round: int
    stage: int
    size: int  # bytes
    groups: int
    informative: int = 0  # of these, as the trainer says


_INDEX: TypeAdapter[list[Kept]] = TypeAdapter(list[Kept])


class Bodies:
    """Written by the outbox, read by the network."""

    def __init__(
        self, store: Store, tally: Tally, rounds_kept: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._tally, self._rounds_kept, self._monotonic = store, tally, rounds_kept, monotonic
        self._budget = Budget(ASKER_BYTES, ALL_BYTES)
        self._kept: dict[tuple[int, int, str], Kept] = {}  # round, stage, peer: the newest of each
        self._packed: dict[str, bytes] = {}  # by hash of the body
        self._servings: Counter[tuple[str, str]] = Counter()

    async def load(self) -> None:
        """What an earlier run kept."""
        for kept in _INDEX.validate_json(await self._store.get(INDEX) or "[]"):
            if (body := await self._store.get(BODY + kept.sha256)) is not None:
                self._kept[kept.round, kept.stage, kept.peer_id] = kept
                self._packed[kept.sha256] = pack(body.encode())

    async def keep(self, rollouts: Rollouts, body: bytes) -> Kept:
        """Keep one more; a peer's earlier body of the same round is replaced."""
        digest = sha256(body).hexdigest()
        kept = Kept(
            sha256=digest,
            peer_id=rollouts.peer_id,
            round=rollouts.round,
            stage=rollouts.stage,
            size=len(body),
            groups=len(rollouts.groups),
            informative=rollouts.informative,
        )
        await self._store.put(BODY + digest, body.decode(), ttl_s=TTL_S)
        self._packed[digest] = pack(body)
        self._kept[kept.round, kept.stage, kept.peer_id] = kept
        self._forget(kept.round - self._rounds_kept)
        await self._store.put(INDEX, _INDEX.dump_json(list(self._kept.values())).decode(), ttl_s=TTL_S)
        return kept

    def _forget(self, last: int) -> None:
        """Drop the rounds up to `last`, and bodies that were replaced. In the store they expire by themselves."""
        self._kept = {where: kept for where, kept in self._kept.items() if kept.round > last}
        wanted = {kept.sha256 for kept in self._kept.values()}
        self._packed = {digest: packed for digest, packed in self._packed.items() if digest in wanted}
        self._servings = Counter({pair: count for pair, count in self._servings.items() if pair[0] in wanted})

    def of(self, round_number: int, stage: int) -> list[Kept]:
        """The bodies of a round."""
        return [kept for kept in self._kept.values() if (kept.round, kept.stage) == (round_number, stage)]

    def body(self, kept: Kept) -> bytes | None:
        """What is kept, for ourselves; None if it was replaced since."""
        packed = self._packed.get(kept.sha256)
        return None if packed is None else unpack(packed, kept.size)

    def serve(self, digest: str, remote: str) -> bytes | None:
        """A body, packed, for a peer that asks; None if it is not here or this peer has had it often enough."""
        packed = self._packed.get(digest)
        if (
            packed is None
            or self._servings[digest, remote] >= SERVINGS
            or not self._budget.take(remote, len(packed), self._monotonic())
        ):
            metrics.REFUSED.inc()
            return None
        if len(self._servings) >= MAX_SERVINGS:
            self._servings.clear()
        self._servings[digest, remote] += 1
        self._tally.send(len(packed))
        return packed
