"""What each peer did wrong lately, half of it forgotten every half-life; too much of it, and the peer is left alone.

Only what a peer has provably done counts (its signature was good, its body was not): otherwise anybody could bring an
honest peer into disrepute by writing rubbish under its name. Pure: time comes in as an argument, in unix seconds.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.p2p import metrics
from services.p2p.trust.offence import WEIGHTS, Offence
from shared.messages import PeerId

log = logging.getLogger(__name__)

MAX_PEERS = 4_096  # remembered; the least guilty is forgotten first
MAX_KEPT = 512  # over a restart, the guiltiest
MAX_GUILT = 64.0  # nobody is left alone for more than some five half-lives
NEGLIGIBLE = 0.05  # what has faded to this is forgotten


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    guilt: Annotated[float, Field(gt=0, le=MAX_GUILT)]
    at: float
    offence: Offence


_KEPT: TypeAdapter[dict[PeerId, _Kept]] = TypeAdapter(Annotated[dict[PeerId, _Kept], Field(max_length=MAX_KEPT)])


@dataclass(frozen=True)
class _Record:
    guilt: float  # failures, as they stood
    at: float  # then
    offence: Offence  # the last


class Reputation:
    """Failures per peer, fading."""

    def __init__(self, budget: float, half_life_s: float) -> None:
        """A peer whose `weight` reaches `budget` is left alone until it has faded below."""
        # A hair below the budget: failures a few seconds apart have hardly faded.
        self._limit, self._half_life_s = max(budget - 0.5, budget / 2), half_life_s
        self._records: dict[str, _Record] = {}
        self.changes = 0  # grows with every failure: whoever writes it down sees that there is something new

    def fail(self, peer: str, offence: Offence, now: float, share: float = 1.0) -> None:
        """A peer has provably failed once more; `share`, 0 to 1, says how much of what it sent did."""
        guilt = min(MAX_GUILT, self.weight(peer, now) + WEIGHTS.get(offence, 1.0) * share)
        self._records[peer] = _Record(guilt, now, offence)
        self.changes += 1
        metrics.OFFENCES.labels(offence.value).inc()
        if len(self._records) > MAX_PEERS:
            del self._records[min(self._records, key=lambda known: self.weight(known, now))]

    def weight(self, peer: str, now: float) -> float:
        """How guilty a peer is, in failures; 0 for one that did nothing wrong lately."""
        record = self._records.get(peer)
        if record is None:
            return 0.0
        return record.guilt * math.exp2(-max(0.0, now - record.at) / self._half_life_s)

    def holds(self, peer: str, now: float) -> bool:
        """Whether the peer is to be left alone."""
        return self.weight(peer, now) > self._limit

    def held(self, now: float) -> frozenset[str]:
        """Peers left alone now."""
        return frozenset(peer for peer in self._records if self.holds(peer, now))

    def until(self, peer: str, now: float) -> float:
        """When the peer is no longer left alone; `now` if it is not."""
        weight = self.weight(peer, now)
        return now + self._half_life_s * math.log2(weight / self._limit) if weight > self._limit else now

    def offence(self, peer: str) -> Offence | None:
        """The last thing that the peer did wrong; None: nothing that is remembered."""
        record = self._records.get(peer)
        return record.offence if record else None

    def dump(self, now: float) -> str:
        """The guiltiest, to be kept over a restart."""
        weights = {peer: self.weight(peer, now) for peer in self._records}
        worst = sorted((peer for peer in weights if weights[peer] > NEGLIGIBLE), key=lambda peer: -weights[peer])
        kept = {
            peer: _Kept(guilt=weights[peer], at=now, offence=self._records[peer].offence) for peer in worst[:MAX_KEPT]
        }
        return _KEPT.dump_json(kept).decode()

    def load(self, text: str, now: float) -> None:
        """What an earlier run knew. What is damaged is dropped, with a line in the log."""
        try:
            kept = _KEPT.validate_json(text)
        except ValidationError:
            log.warning("what was remembered of peers that failed is damaged: all begin anew")
            return
        # A clock that stood ahead then must not keep anybody out for longer.
        self._records = {peer: _Record(one.guilt, min(one.at, now), one.offence) for peer, one in kept.items()}
