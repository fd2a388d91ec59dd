"""What is known of each peer that sent something lately, for people: the household's page shows it.

Only what a peer has provably done is noted, and only of peers whose rollouts were looked at: neither rubbish under
another's name nor a crowd of made-up peers shows up here. With the notes the peers' reputation is written down, and
unlike them it outlives the service: nobody is free of his past because we were restarted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from services.p2p import metrics
from services.p2p.trust.reputation import Reputation
from services.p2p.wire.rejection import Reason
from shared.household import MAX_NOTES, PeerNote, put_peer_notes
from shared.queue import Store

SELDOM_S = 2.0  # between two writes
REPUTATION = "p2p:reputation"  # key of Reputation.dump


@dataclass
class _Note:
    round: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    reason: str = ""


async def remember(reputation: Reputation, store: Store, now: float) -> None:
    """Read what an earlier run knew of the peers."""
    if (text := await store.get(REPUTATION)) is not None:
        reputation.load(text, now)


class Notes:
    """Counts by peer since the service was started; the one heard least lately is forgotten first."""

    def __init__(self, store: Store, reputation: Reputation, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._reputation, self._monotonic = store, reputation, monotonic
        self._notes: dict[str, _Note] = {}  # by peer, the one heard last at the end
        self._held: frozenset[str] = frozenset()
        self._changes = reputation.changes  # of the reputation as it was written down
        self._due, self._told_at = True, float("-inf")  # what an earlier run wrote holds no more

    def __contains__(self, peer: str) -> bool:
        return peer in self._notes

    def accept(self, peer: str, round_number: int) -> None:
        """A peer's rollouts were taken."""
        self._of(peer, round_number).accepted += 1

    def reject(self, peer: str, round_number: int, reason: Reason) -> None:
        """Something of a peer was dropped."""
        note = self._of(peer, round_number)
        note.rejected[reason.value] += 1
        note.reason = reason.value

    def _of(self, peer: str, round_number: int) -> _Note:
        note = self._notes.pop(peer) if peer in self._notes else _Note()
        self._notes[peer] = note
        note.round = max(note.round, round_number)
        if len(self._notes) > MAX_NOTES:
            del self._notes[next(iter(self._notes))]
        return note

    def all(self, now: float) -> list[PeerNote]:
        """The notes, the peer heard last first; those left alone from an earlier run too. `now`: unix seconds."""
        strangers = {peer: _Note() for peer in self._reputation.held(now) if peer not in self._notes}
        both = {**strangers, **self._notes}
        return [self._shown(peer, note, now) for peer, note in reversed(both.items())]

    def _shown(self, peer: str, note: _Note, now: float) -> PeerNote:
        held = self._reputation.holds(peer, now)
        offence = self._reputation.offence(peer) if held else None
        return PeerNote(
            peer_id=peer,
            round=note.round,
            accepted=note.accepted,
            rejected=dict(note.rejected),
            quarantined=held,
            reason=offence.value if offence else note.reason,
            until=round(self._reputation.until(peer, now)) if held else None,
        )

    async def tell(self, now: float, *, round_over: bool = False) -> None:
        """Write them down when a round is over or the quarantine has changed, not too often; `now`: unix seconds."""
        held = self._reputation.held(now)
        metrics.QUARANTINED.set(len(held))
        self._due = self._due or round_over or held != self._held
        self._held = held
        if not self._due or self._monotonic() - self._told_at < SELDOM_S:
            return
        await put_peer_notes(self._store, self.all(now))
        if self._changes != self._reputation.changes:
            await self._store.put(REPUTATION, self._reputation.dump(now))
        self._changes = self._reputation.changes
        self._due, self._told_at = False, self._monotonic()
