"""Local rollouts on their way out.

ROLLOUTS_LOCAL --> keep the body --> sign --> announce in the DHT --> ack
                        |                        ^
                        +-- of the open round ---+  again now and then, after a restart, and when the network changed
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from services.p2p import metrics
from services.p2p.network.identities import Identity
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.traffic.bodies import Bodies, Kept
from services.p2p.traffic.survey import Survey
from services.p2p.wire.announcement import VERSION, Announcement, sign
from services.p2p.wire.buckets import places_of
from services.p2p.wire.validation import body_of
from shared.messages import Rollouts
from shared.queue import Delivery
from shared.runtime import Context
from shared.streams import ROLLOUTS_LOCAL

log = logging.getLogger(__name__)

WAIT_S = 0.5  # for the next local rollouts
REPEAT_S = 30.0  # holders come and go: announcements of the open round are refreshed


class Outbox:
    """Announces what the household's trainers sampled."""

    def __init__(
        self,
        settings: P2PSettings,
        context: Context,
        network: PeerNetwork,
        identities: Mapping[str, Identity],
        bodies: Bodies,
        rounds: Rounds,
        survey: Survey,
        pulse: Pulse,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._context, self._network = settings, context, network
        self._identities = identities  # by peer; grows with the seats
        self._bodies, self._rounds, self._survey, self._pulse, self._now = bodies, rounds, survey, pulse, now
        self._repeated: tuple[str, int, float] = ("", -1, 0.0)  # round, generation of the network, when
        self.announced = asyncio.Event()  # set when something new of ours is in the DHT

    async def run(self) -> None:
        """Until told to stop."""
        while not self._context.stop.is_set():
            found = await self._context.queue.receive(ROLLOUTS_LOCAL, self._settings.instance, wait_s=WAIT_S)
            await asyncio.gather(*(self._deliver(delivery) for delivery in found))
            await self._repeat()
            self._pulse.advance("outbox")

    async def _deliver(self, delivery: Delivery[Rollouts]) -> None:
        """Effect, then ack; what cannot be announced is tried again and ends in the dead letters."""
        rollouts, queue = delivery.message, self._context.queue
        if rollouts.peer_id not in self._identities:
            error = f"peer {rollouts.peer_id} is not hosted here: trainers lease one of {sorted(self._identities)}"
            await queue.fail(ROLLOUTS_LOCAL, delivery, error, retry_s=0.0)
            return
        if self._is_over(rollouts):
            metrics.STALE.inc()
            log.info("rollouts of round %d came when it was over", rollouts.round)
            await queue.ack(ROLLOUTS_LOCAL, delivery)
            return
        body = body_of(rollouts)
        if len(body) > self._settings.body_limit:
            error = f"{len(body)} bytes are more than peers take ({self._settings.body_limit}): sample less"
            await queue.fail(ROLLOUTS_LOCAL, delivery, error, retry_s=0.0)
            return
        kept = await self._bodies.keep(rollouts, body)
        try:
            await self._announce(kept)
        except NetworkError as error:
            await queue.fail(ROLLOUTS_LOCAL, delivery, f"not announced: {error}", retry_s=2.0 * delivery.attempts)
            return
        self.announced.set()
        await queue.ack(ROLLOUTS_LOCAL, delivery)

    def _is_over(self, rollouts: Rollouts) -> bool:
        current = self._rounds.current
        return current is not None and (rollouts.round, rollouts.stage) < (current.number, current.stage)

    async def _announce(self, kept: Kept) -> None:
        """Raises NetworkError."""
        expires, level = self._now() + self._settings.announce_s, self._survey.level
        announcement = Announcement(
            v=VERSION,
            swarm=self._settings.swarm,
            round=kept.round,
            stage=kept.stage,
            level=level,
            peer=kept.peer_id,
            sha256=kept.sha256,
            size=kept.size,
            groups=kept.groups,
            informative=kept.informative,
            expires=expires,
        )
        value = sign(announcement, self._identities[kept.peer_id])
        places = places_of(self._settings.swarm, kept.round, kept.stage, kept.peer_id, level)
        with metrics.ANNOUNCE_SECONDS.time():
            for place in places:
                await self._network.announce(kept.peer_id, place, value, expires)
        metrics.ANNOUNCED.inc()

    async def _repeat(self) -> None:
        """Announce the open round's bodies again where that may have been lost."""
        current = self._rounds.current
        if current is None or self._now() > current.deadline:
            return
        where, generation, at = self._repeated
        if where == current.key and generation == self._network.generation and self._now() < at + REPEAT_S:
            return
        self._repeated = (current.key, self._network.generation, self._now())
        mine = [kept for kept in self._bodies.of(current.number, current.stage) if kept.peer_id in self._identities]
        for failure in await asyncio.gather(*(self._announce(kept) for kept in mine), return_exceptions=True):
            if isinstance(failure, NetworkError):
                log.info("not announced again: %s", failure)
                self._repeated = ("", -1, 0.0)
            elif isinstance(failure, BaseException):
                raise failure
