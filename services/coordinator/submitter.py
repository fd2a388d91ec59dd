"""The outbox: submissions go to the chain once each, whatever dies when.

    SUBMISSIONS --take--> unique, in order --holds?--> send --receipt, event--> tally --> LEDGER --> ack
                                  ^             |            |
                                  |             +- landed ---+- refused: said so in LEDGER (once: see Books.settle)
                                  +-- put back: its peer or its round is not on the chain yet

The contract itself takes no reward or vote twice, so looking before sending is enough: what a crash, or a lost answer,
left undecided is found on the chain at the next try. While the chain is away nothing is taken, failed or given up.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from services.coordinator import metrics
from services.coordinator.books import Books
from services.coordinator.chain import Chain, ChainError, Landed, Reverted
from services.coordinator.link import Link
from services.coordinator.verdicts import NOT_YET, Later, OnChain, Refused, Verdict, phases, unique, verdict
from shared.errors import QueueFullError
from shared.messages import Settled, Submission
from shared.queue import Delivery
from shared.streams import SUBMISSIONS

log = logging.getLogger(__name__)

RETRY_S = 1.0  # until a submission that came too early is looked at again
FRESH_ATTEMPTS = 2  # deliveries after which one that waits is written anew; a few more and it would be given up


@dataclass(frozen=True)
class Known:
    """It was settled before, and came again: from a trainer that was restarted, or that saw the queue restarted."""


Outcome = Settled | Known | Later
Deliveries = Sequence[Delivery[Submission]]


class Submitter:
    """Takes submissions from the queue and settles them."""

    def __init__(self, chain: Chain, link: Link, books: Books, *, consumer: str, batch: int, poll_s: float) -> None:
        self._chain, self._link, self._books = chain, link, books
        self._queue = link.context.queue
        self._consumer, self._batch, self._poll_s = consumer, batch, poll_s

    async def run(self) -> None:
        """Work until told to stop."""
        while not self._link.context.stop.is_set():
            self._link.pulse("submitter")
            # A delivery taken in vain would bring the submission nearer to the dead letters.
            if not await self._link.wait(self._link.up, self._poll_s):
                continue
            taken = await self._queue.receive(SUBMISSIONS, self._consumer, limit=self._batch, wait_s=self._poll_s)
            if taken:
                with metrics.BATCH.time():
                    await self._work(taken)
            metrics.BACKLOG.set(await self._queue.backlog(SUBMISSIONS))

    async def _work(self, taken: Deliveries) -> None:
        first, repeated = unique(taken, self._chain.contract or "", self._chain.account)
        for phase in phases(first):
            outcomes = await self._until_known(phase)
            if outcomes is None:
                return  # told to stop: what is not acked comes again after the start
            await self._settle(phase, outcomes)
        for delivery in repeated:
            await self._queue.ack(SUBMISSIONS, delivery)

    async def _until_known(self, phase: Deliveries) -> list[Outcome] | None:
        """Outcomes, however long the chain is away; None when told to stop before."""
        context = self._link.context
        while True:
            if not await self._link.wait(self._link.up, self._poll_s):
                if context.stop.is_set():
                    return None
                self._link.pulse("submitter")
                continue
            try:
                outcomes = await self._outcomes([delivery.message for delivery in phase])
            except ChainError as error:
                metrics.OUTAGES.inc()
                context.health.degrade("submissions", str(error))
            else:
                context.health.heal("submissions")
                return outcomes
            self._link.pulse("submitter")
            if not await context.sleep(self._poll_s):
                return None

    async def _outcomes(self, submissions: Sequence[Submission]) -> list[Outcome]:
        held = await self._chain.holds(submissions)
        found: dict[str, Outcome] = {}
        there = [one for one, holds in zip(submissions, held, strict=True) if holds]
        known = await self._books.known(there)
        found |= {key: Known() for key in known}
        await self._find([one for one in there if one.key not in found], found)
        sending = [one for one, there in zip(submissions, held, strict=True) if not there]
        refused: list[tuple[Submission, str]] = []
        results = await self._chain.submit(sending)
        self._tell(results)
        for submission, result in zip(sending, results, strict=True):
            if isinstance(result, Reverted):
                refused.append((submission, result.error))
            else:
                found[submission.key] = _landed(submission, result)
        await self._judge(refused, found)
        return [found[submission.key] for submission in submissions]

    def _tell(self, results: Sequence[Landed | Reverted]) -> None:
        """Say what only an owner of the swarm can change, until something lands."""
        health, names = self._link.context.health, {one.error for one in results if isinstance(one, Reverted)}
        for name, (part, why, remedy) in NOT_YET.items():
            if name in names:
                health.degrade(part, f"{why}; what it refuses waits: {remedy}")
            elif any(isinstance(one, Landed) for one in results):
                health.heal(part)

    async def _judge(self, refused: Sequence[tuple[Submission, str]], found: dict[str, Outcome]) -> None:
        if not refused:
            return
        owners = await self._chain.owners([submission.peer_id for submission, _ in refused])
        there = []
        for (submission, error), owner in zip(refused, owners, strict=True):
            what: Verdict = verdict(error, submission, owner, self._link.standing)
            if isinstance(what, OnChain):
                there.append(submission)
            elif isinstance(what, Refused):
                log.warning("the chain refuses %s: %s", submission.key, what.reason)
                found[submission.key] = _refused(submission, what.reason)
            else:
                found[submission.key] = what
        await self._find(there, found)

    async def _find(self, submissions: Sequence[Submission], found: dict[str, Outcome]) -> None:
        """Those an earlier transaction of ours put on the chain, with that transaction."""
        if submissions:
            for submission, where in zip(submissions, await self._chain.find(submissions), strict=True):
                found[submission.key] = _landed(submission, where)

    async def _settle(self, phase: Deliveries, outcomes: Sequence[Outcome]) -> None:
        """Effect, then ack."""
        settled = [outcome for outcome in outcomes if isinstance(outcome, Settled)]
        if settled:
            await self._books.settle(settled)
        for one in settled:
            metrics.SETTLED.labels(one.submission.kind, one.outcome).inc()
        for delivery, outcome in zip(phase, outcomes, strict=True):
            if isinstance(outcome, Later):
                await self._postpone(delivery, outcome)
            else:
                await self._queue.ack(SUBMISSIONS, delivery)
        if any(one.submission.kind != "registration" for one in settled):
            self._link.voted.set()

    async def _postpone(self, delivery: Delivery[Submission], later: Later) -> None:
        metrics.POSTPONED.inc()
        log.debug("%s waits: %s", delivery.message.key, later.reason)
        if later.counted or delivery.attempts < FRESH_ATTEMPTS:
            await self._queue.fail(SUBMISSIONS, delivery, later.reason, retry_s=RETRY_S)
            return
        # Waiting is no failure: a fresh copy has all its attempts before it. In a full queue it keeps its old place.
        with contextlib.suppress(QueueFullError):
            await self._queue.publish(SUBMISSIONS, delivery.message)
            await self._queue.ack(SUBMISSIONS, delivery)


def _landed(submission: Submission, where: Landed) -> Settled:
    return Settled(submission=submission, outcome="landed", transaction=where.transaction, block=where.block)


def _refused(submission: Submission, reason: str) -> Settled:
    return Settled(submission=submission, outcome="refused", transaction=None, block=None, reason=reason)
