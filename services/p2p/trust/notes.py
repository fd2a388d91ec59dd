"""What is known of each peer that sent something lately, for people: the household's page shows it.

Only what a peer has provably done is noted, and only of peers whose rollouts were looked at: neither rubbish under
another's name nor a crowd of made-up peers shows up here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from services.p2p.wire.rejection import Reason
from shared.household import MAX_NOTES, PeerNote, put_peer_notes
from shared.queue import Store

SELDOM_S = 2.0  # between two writes


@dataclass
class _Note:
    round: int = 0
    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    reason: str = ""


class Notes:
    """Counts by peer since the service was started; the one heard least lately is forgotten first."""

    def __init__(self, store: Store, now: Callable[[], float] = time.monotonic) -> None:
        self._store, self._now = store, now
        self._notes: dict[str, _Note] = {}  # by peer, the one heard last at the end
        self._held: frozenset[str] = frozenset()
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

    def all(self, held: frozenset[str]) -> list[PeerNote]:
        """The notes, the peer heard last first; `held` are in quarantine."""
        return [
            PeerNote(
                peer_id=peer,
                round=note.round,
                accepted=note.accepted,
                rejected=dict(note.rejected),
                quarantined=peer in held,
                reason=note.reason,
            )
            for peer, note in reversed(self._notes.items())
        ]

    async def tell(self, held: frozenset[str], *, round_over: bool = False) -> None:
        """Write them down when a round is over or the quarantine has changed, and not too often."""
        self._due = self._due or round_over or held != self._held
        self._held = held
        if self._due and self._now() - self._told_at >= SELDOM_S:
            await put_peer_notes(self._store, self.all(held))
            self._due, self._told_at = False, self._now()
