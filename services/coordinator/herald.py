"""Tells the household what the clock sees: which round is open, and how the chain is."""

from __future__ import annotations

import logging

from services.coordinator import metrics
from services.coordinator.books import Books, Opened
from services.coordinator.chain import Chain, Head
from services.coordinator.link import Link
from services.coordinator.rounds import Rules, is_final
from shared.household import SwarmState, put_bootnodes, put_swarm_state
from shared.messages import Round
from shared.queue import Entry
from shared.streams import ROUNDS, SUBMISSIONS

log = logging.getLogger(__name__)


class Herald:
    """Writes ROUNDS, SwarmState and the bootnodes."""

    def __init__(self, chain: Chain, link: Link, books: Books, *, ledger: bool) -> None:
        self._chain, self._link, self._books, self._ledger = chain, link, books, ledger
        self._queue, self._store = link.context.queue, link.context.store

    async def announce(self, opened: Opened, rules: Rules) -> None:
        """Tell the household, once: after a restart the same word stands there already."""
        if rules.max_rounds is not None and opened.number >= rules.max_rounds:
            return
        message = Round(
            number=opened.number,
            stage=opened.stage,
            stages=opened.stages,
            opened_at=opened.opened_at,
            deadline=opened.deadline,
            final=is_final(rules, opened.number) and opened.stage + 1 >= opened.stages,
            swarm=opened.swarm,
            paused=opened.paused,
        )
        last: Entry[Round] | None = await self._queue.last(ROUNDS)
        if last is None or last.message != message:
            await self._queue.publish(ROUNDS, message)
            log.info("round %d, stage %d is open%s", opened.number, opened.stage, ", the last" * message.final)

    async def publish(self, head: Head, opened: Opened, rules: Rules, *, owns: bool, registered: int) -> None:
        """Tell the household what the chain looks like."""
        tally, backlog = await self._books.tally(), await self._queue.backlog(SUBMISSIONS)
        contract = self._chain.contract or ""
        state = SwarmState(
            chain_id=head.chain_id,
            contract=contract,
            account=self._chain.account,
            block=head.block,
            round=head.round,
            stage=head.stage,
            registered_peers=registered,
            rewards_settled=tally.rewards,
            winners_settled=tally.winners,
            finished=opened.finished and backlog == 0,
            leads=rules.leads,
            owns=owns,
            paused=rules.paused,
            min_s=rules.min_s if rules.leads else None,
            max_s=rules.max_s if rules.leads else None,
            quorum=rules.quorum if rules.leads else None,
            clock_s=head.stage_s or 0,
            proof_required=head.proof_required,
            waiting=backlog,
            ledger=self._ledger,
        )
        await put_bootnodes(self._store, list(head.bootnodes))
        await put_swarm_state(self._store, state)
        metrics.ROUND.set(head.round)
        metrics.BLOCK.set(head.block)
        metrics.FINISHED.set(state.finished)
        self._link.context.health.facts |= {
            "round": head.round,
            "contract": contract,
            "account": self._chain.account,
            "block": head.block,
            "backlog": backlog,
        }
