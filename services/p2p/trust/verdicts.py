"""What this household's trainers found when they scored peers' rollouts again, turned into reputation.

    Inbox --what was taken, and claimed--> Verdicts <--EVENTS (Trained.heard)-- trainers
                                              +--> Reputation

A trainer makes each question of a peer again and scores each answer by itself: a question or an answer that comes out
otherwise was never the swarm's, and its author signed for it. Trainers of one household may see different parts of a
round; the first word on a peer's rollouts stands.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Container

from services.p2p.trust.offence import Offence
from services.p2p.trust.reputation import Reputation
from shared.messages import Heard, Trained
from shared.runtime import Context
from shared.streams import EVENTS

WAIT_S = 1.0
MAX_TAKEN = 4_096  # bodies on which no trainer has said a word yet
FORGED = frozenset({"altered", "held_out", "wrong_stage"})  # what nobody who plays the swarm's game sends
FOREIGN = frozenset({"unknown_set", "unproven"})  # what another game's or mix's player may send
SLACK = 0.25  # of the groups, that claim and finding may differ by: scorers may be of different versions


class Verdicts:
    """Follows the trainers' events."""

    def __init__(
        self,
        context: Context,
        reputation: Reputation,
        own: Callable[[], Container[str]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._context, self._reputation, self._own, self._now = context, reputation, own, now
        self._taken: OrderedDict[tuple[int, int, str], int] = OrderedDict()  # round, stage, peer -> what it claims

    def expect(self, peer: str, round_number: int, stage: int, informative: int) -> None:
        """A peer's signed rollouts were taken; as many groups as it says are informative.

        In the later stages of a game what an answer earns may depend on what its reader heard: no claim counts there.
        """
        self._taken[round_number, stage, peer] = 0 if stage else informative
        if len(self._taken) > MAX_TAKEN:
            self._taken.popitem(last=False)

    async def run(self) -> None:
        """Until told to stop."""
        last = await self._context.queue.last(EVENTS)
        cursor = last.id if last else "0"
        while not self._context.stop.is_set():
            for entry in await self._context.queue.read(EVENTS, cursor, wait_s=WAIT_S):
                cursor = entry.id
                if isinstance(entry.message, Trained):
                    self.weigh(entry.message)

    def weigh(self, told: Trained) -> None:
        """Count what a trainer found against those who sent it."""
        for peer, heard in told.heard.items():
            claimed = self._taken.pop((told.round, told.stage, peer), None)
            if claimed is None or peer in self._own():
                continue  # unsigned, judged before, or our own
            if (found := offence(heard, claimed)) is not None:
                self._reputation.fail(peer, found[0], self._now(), found[1])


def offence(heard: Heard, claimed: int) -> tuple[Offence, float] | None:
    """What a peer did wrong, and with what share of its groups; None: nothing that can be proven."""
    groups = heard.groups + sum(heard.refused.values())
    for kind, reasons in ((Offence.FORGED, FORGED), (Offence.FOREIGN, FOREIGN)):
        if count := sum(heard.refused.get(reason, 0) for reason in reasons):
            return kind, count / groups
    excess = claimed - heard.informative - sum(heard.refused.values())
    return (Offence.OVERSTATED, excess / groups) if excess > SLACK * groups else None
