"""What the network did for this household in the open round: counted once, for the metrics and for `Exchanged`."""

from __future__ import annotations

from collections import Counter

from services.p2p import metrics
from services.p2p.wire.rejection import Reason
from shared.messages import Exchanged

MAX_KNOWN = 10_000  # rejected things remembered, so that each counts once a round


class Tally:
    """Counts of one round; `close` gives them and begins the next."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.sent = self.received = self.accepted = self.unsigned = 0
        self.rejected: Counter[str] = Counter()
        self._known: set[int] = set()

    def accept(self) -> None:
        """A peer's rollouts passed."""
        self.accepted += 1
        metrics.ACCEPTED.inc()

    def accept_unsigned(self) -> None:
        """A stock node's rollouts passed."""
        self.unsigned += 1
        metrics.STOCK_ACCEPTED.inc()

    def reject(self, reason: Reason, what: str) -> bool:
        """`what` was dropped. The same thing comes back with every look at the DHT, and counts once: True.

        In a flood beyond MAX_KNOWN different things, what comes back counts again.
        """
        mark = hash((reason, what))
        if mark in self._known:
            return False
        if len(self._known) < MAX_KNOWN:
            self._known.add(mark)
        self.rejected[reason.value] += 1
        metrics.REJECTED.labels(reason.value).inc()
        return True

    def send(self, size: int) -> None:
        """A body of ours was served."""
        self.sent += size
        metrics.SENT.inc(size)

    def receive(self, size: int) -> None:
        """A peer's body was fetched."""
        self.received += size
        metrics.RECEIVED.inc(size)

    def close(self, round_number: int, at: float) -> Exchanged:
        """The round is over."""
        report = Exchanged(
            at=at,
            round=round_number,
            bytes_sent=self.sent,
            bytes_received=self.received,
            accepted=self.accepted,
            unsigned=self.unsigned,
            rejected=dict(self.rejected),
        )
        self._begin()
        return report
