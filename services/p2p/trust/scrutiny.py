"""What is asked of a peer's body beside its form: whether it is the peer's own, and what the trainers think of it.

Collector --announced, taken, failed--> Scrutiny --> Originals    whose questions are these?
                                            +------> Verdicts     what do the trainers find in them?
                                            +------> Reputation   and so?
"""

from __future__ import annotations

from collections.abc import Callable

from services.p2p.trust.offence import Offence
from services.p2p.trust.originals import Originals
from services.p2p.trust.reputation import Reputation
from services.p2p.trust.verdicts import Verdicts
from services.p2p.wire.announcement import Announcement
from services.p2p.wire.rejection import Reason, Rejected
from shared.messages import Rollouts

OFFENCES = {Reason.UNREACHABLE: Offence.UNREACHABLE, Reason.COPIED: Offence.COPIED}
NO_OFFENCE = frozenset({Reason.LATE, Reason.REPEATED})


class Scrutiny:
    """One for all bodies of the household."""

    def __init__(
        self, reputation: Reputation, originals: Originals, verdicts: Verdicts, now: Callable[[], float]
    ) -> None:
        self.reputation = reputation
        self._originals, self._verdicts, self._now = originals, verdicts, now

    def inspect(self, rollouts: Rollouts) -> None:
        """Raises Rejected if these are another peer's rollouts."""
        verdict = self._originals.judge(rollouts)
        if verdict != "original":
            raise Rejected(Reason.COPIED if verdict == "copied" else Reason.REPEATED)

    def took(self, announcement: Announcement) -> None:
        """A peer's rollouts go to the trainers."""
        told = announcement
        self._verdicts.expect(told.peer, told.round, told.stage, told.informative)

    def blame(self, peer: str, reason: Reason) -> None:
        """A peer's body was dropped, or never came."""
        if reason not in NO_OFFENCE:
            self.reputation.fail(peer, OFFENCES.get(reason, Offence.RUBBISH), self._now())
