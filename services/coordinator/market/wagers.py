"""The household's bets and claims: from the queue to the chain, and what came of them to whoever asked.

    WAGERS --take--> send --> remembered (market:played) --> WAGERED --> ack
    games that are over, peers that bet and were not paid --> claim

The contract takes one bet a clue and pays once: what a crash left undecided is refused the second time, and that
refusal means that the first one landed. No bet is repeated for long: its clue passes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from services.coordinator import metrics
from services.coordinator.calls import Call
from services.coordinator.chain import ChainError, Landed, Reverted
from services.coordinator.market.contract import MarketContract, Paid
from services.coordinator.market.memory import Memory
from shared.market import Table
from shared.queue import Delivery, Queue
from shared.streams import WAGERED, WAGERS
from shared.wagers import Claim, Guess, Wager, Wagered

log = logging.getLogger(__name__)

AT_ONCE = 50
RETRY_S = 2.0
TWICE = ("AlreadyGuessed", "RewardAlreadyClaimed")
STAKE = "getStake(uint256,string)"


class Wagers:
    """One household's wagers. Every call raises ChainError."""

    def __init__(self, market: MarketContract, queue: Queue, memory: Memory, consumer: str) -> None:
        self._market, self._queue, self._memory, self._consumer = market, queue, memory, consumer
        self._through: set[tuple[int, str]] = set()  # game and peer: nothing is left to be claimed

    def begin_anew(self) -> None:
        """Another market, or one that was out of reach: look at everything again."""
        self._through.clear()

    async def send(self) -> None:
        """Send what waits in the queue."""
        taken = await self._queue.receive(WAGERS, self._consumer, limit=AT_ONCE, wait_s=0.01)
        if not taken:
            return
        try:
            results = await self._market.send([_call(delivery.message) for delivery in taken])
        except ChainError as error:
            for delivery in taken:
                await self._queue.fail(WAGERS, delivery, str(error), retry_s=RETRY_S)
            raise
        for delivery, result in zip(taken, results, strict=True):
            await self._settle(delivery, result)

    async def claim(self, tables: Sequence[Table], peers: Sequence[str], now: float) -> None:
        """Claim what is due to our peers in games that are over."""
        due = [(table.game, peer) for table in tables if table.is_over(now) for peer in peers]
        due = [(game, peer) for game, peer in due if (game, peer) not in self._through]
        if not due:
            return
        stakes = await self._market.ask(*(Call(STAKE, (game, peer)) for game, peer in due))
        open_ = [one for one, (tokens, _, is_paid) in zip(due, stakes, strict=True) if tokens and not is_paid]
        claims = [Claim(peer_id=peer, game=game) for game, peer in open_]
        for claim, result in zip(claims, await self._market.send([_call(claim) for claim in claims]), strict=True):
            if isinstance(result, Reverted) and result.error == "TooEarly":  # our clock is ahead of the chain's
                due.remove((claim.game, claim.peer_id))
                continue
            await self._remember(claim, result)
        self._through.update(due)

    async def _settle(self, delivery: Delivery[Wager], result: Landed | Reverted) -> None:
        wager = delivery.message
        again = isinstance(result, Reverted) and result.error in TWICE and delivery.attempts > 1
        landed = isinstance(result, Landed) or again
        if landed:
            await self._remember(wager, result)
        await self._queue.publish(
            WAGERED,
            Wagered(
                wager=wager,
                outcome="landed" if landed else "refused",
                transaction=result.transaction if isinstance(result, Landed) else None,
                reason="" if landed or isinstance(result, Landed) else result.error or "Refused",
            ),
        )
        metrics.WAGERS.labels(wager.kind, "landed" if landed else "refused").inc()
        await self._queue.ack(WAGERS, delivery)

    async def _remember(self, wager: Wager, result: Landed | Reverted) -> None:
        if isinstance(wager, Guess):
            await self._memory.placed(wager)
        elif isinstance(result, Paid):
            log.info("%s was paid %d tokens of game %d", wager.peer_id, result.tokens, wager.game)
            await self._memory.paid(wager.game, wager.peer_id, result.tokens)


def _call(wager: Wager) -> Call:
    if isinstance(wager, Guess):
        arguments = (wager.game, wager.peer_id, wager.clue, wager.choice, wager.tokens)
        return Call("guessAnswer(uint256,string,uint256,uint256,uint256)", arguments)
    return Call("claimReward(uint256,string)", (wager.game, wager.peer_id))
