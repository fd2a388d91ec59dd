"""Peers that failed too often lately are left alone for a while. Pure: time comes in as an argument.

Only what a peer has provably done counts (its signature was good, its body was not): otherwise anybody could put an
honest peer here by writing rubbish under its name.
"""

from __future__ import annotations

import math

MAX_PEERS = 4_096  # remembered; the least guilty is forgotten first


class Quarantine:
    """Failures per peer, half of them forgotten every `half_life_s`."""

    def __init__(self, budget: float, half_life_s: float) -> None:
        self._budget, self._half_life_s = budget, half_life_s
        self._failures: dict[str, tuple[float, float]] = {}  # peer -> failures, at

    def fail(self, peer: str, now: float) -> None:
        """A peer failed once more."""
        self._failures[peer] = (self._failing(peer, now) + 1.0, now)
        if len(self._failures) > MAX_PEERS:
            del self._failures[min(self._failures, key=lambda known: self._failing(known, now))]

    def holds(self, peer: str, now: float) -> bool:
        """Whether the peer is to be left alone."""
        # A hair below the budget: failures a few seconds apart have hardly faded.
        return self._failing(peer, now) > self._budget - 0.5

    def held(self, now: float) -> frozenset[str]:
        """Peers left alone now."""
        return frozenset(peer for peer in self._failures if self.holds(peer, now))

    def weight(self, peer: str, now: float) -> float:
        """What a peer's claims are worth: 1.0 without failures, ever less with more."""
        return 1.0 / (1.0 + self._failing(peer, now))

    def _failing(self, peer: str, now: float) -> float:
        failures, at = self._failures.get(peer, (0.0, now))
        return failures * math.exp2(-max(0.0, now - at) / self._half_life_s)
