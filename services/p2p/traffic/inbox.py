"""Peers' rollouts on their way in, while a round is open.

look at a few buckets of the DHT --> Collector: verify, choose, fetch, validate --> ROLLOUTS_PEER
      ^                |                               |
      |                |                               +-- rejected, by reason --> Exchanged, at the round's end
      |                +-- how many were there, at the round's end --> Survey: into how many buckets the next go
      +-- soon after news, then ever more seldom, until there is enough
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from random import Random

from services.p2p import metrics
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.traffic.choice import Need
from services.p2p.traffic.collector import Collector
from services.p2p.traffic.course import Open
from services.p2p.traffic.pacing import PATIENCE, SHORTEST_S, next_wait
from services.p2p.traffic.survey import Survey
from services.p2p.traffic.watch import Watch
from services.p2p.trust.scrutiny import Scrutiny
from services.p2p.trust.tally import Tally
from services.p2p.wire.buckets import Place, bucket_of, level_of
from shared.household import leases
from shared.messages import Round
from shared.runtime import Context
from shared.streams import EVENTS

log = logging.getLogger(__name__)

LATE_S = 30.0  # after the deadline, for which we still look who came too late
OVERDUE_LOOKS = 4  # since we have announced: others should have by then
COUNTED = 2  # buckets of a round that are read once more when it is over, to count who was there


class Inbox:
    """Collects what peers sampled."""

    def __init__(
        self,
        settings: P2PSettings,
        context: Context,
        network: PeerNetwork,
        rounds: Rounds,
        tally: Tally,
        scrutiny: Scrutiny,
        survey: Survey,
        pulse: Pulse,
        news: asyncio.Event,
        now: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self._settings, self._context, self._network, self._rounds = settings, context, network, rounds
        self._tally, self._survey, self._pulse = tally, survey, pulse
        self._news, self._now, self._random = news, now, random or Random()
        self._collector = Collector(settings, context, network, tally, scrutiny, now, self._random)
        self._open: Open | None = None
        self._finished = ""  # key of the final round, once it is over
        self._regulars: frozenset[str] = frozenset()  # peers whose rollouts of the last round were taken
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until told to stop."""
        async with asyncio.TaskGroup() as group:
            while not self._context.stop.is_set():
                await self._follow(group)
                if self._open is not None:
                    await self._look(self._open, group)
                await self._collector.notes.tell(self._now())
                self._pulse.advance("inbox")
                await self._pause()
            for task in self._tasks:
                task.cancel()

    def _begin(self, group: asyncio.TaskGroup, work: Coroutine[None, None, None]) -> None:
        """Something that nobody waits for, until the service stops."""
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pause(self) -> None:
        """Until the next look: sooner when we have announced something ourselves, as others then do so too."""
        self._news.clear()
        await self._context.sleep(SHORTEST_S)
        rest = (self._open.wait_s if self._open else self._settings.poll_s) - SHORTEST_S
        until = time.monotonic() + rest
        while (left := until - time.monotonic()) > 0 and not (self._news.is_set() or self._changed()):
            if not await self._context.sleep(min(left, 0.1)):
                return

    def _changed(self) -> bool:
        current = self._rounds.current
        return current is not None and (self._open is None or current.key != self._open.round.key)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        """Close the round that is over, open the next."""
        current, old = self._rounds.current, self._open
        if current is None or current.key == self._finished:
            return
        if old is not None and old.round.key == current.key:
            old.round = current  # its deadline may have been moved
            if current.final and self._now() > current.deadline:  # no next round will end it
                await self._close(old, group, report=True)
                self._open, self._finished = None, current.key
            return
        if old is not None:
            await self._close(old, group, report=old.round.number != current.number)
        self._open = await self._opened(current, old)
        self._context.health.facts["round"] = current.number

    async def _opened(self, current: Round, old: Open | None) -> Open:
        """The next stage of a round goes on where the one before was; a round begins anywhere, or with its stages."""
        self._survey.guess(self._network.population())
        trainers = len(await leases(self._context.store))
        need = Need.of(self._settings.external_groups, trainers, stages=current.stages)
        level, known, first = self._survey.level, frozenset[str](), list[int]()
        if need.whole:  # whoever shares our buckets then hears the same as we
            hosted = self._network.hosted
            first = [bucket_of(self._settings.swarm, current.number, peer, level) for peer in hosted]
        if old is not None and old.round.number == current.number:
            level, known = old.watch.level, old.known | old.heard
            first = [place.bucket for place in old.watch.current]
        watch = Watch(current.number, current.stage, level, self._random, first)
        return Open(current, need, watch, known)

    async def _close(self, old: Open, group: asyncio.TaskGroup, *, report: bool) -> None:
        """A stage is over, and with `report` its round too."""
        self._collector.close(old)
        self._regulars = old.heard
        if report:
            self._begin(group, self._count(old))
            await self._context.queue.publish(EVENTS, self._tally.close(old.round.number, self._now()))
            await self._collector.notes.tell(self._now(), round_over=True)

    async def _count(self, old: Open) -> None:
        """How many announced in a round: its buckets are read once more, as we did not look on when we had enough."""
        await self._read(old, old.watch.current[:COUNTED])
        self._survey.note(old.watch.entries)
        metrics.ANNOUNCING.set(self._survey.size or 0.0)

    async def _look(self, at: Open, group: asyncio.TaskGroup) -> None:
        """Read some buckets, unless there is enough, and set everything new on its way."""
        at.looks += bool(at.looks or self._news.is_set())
        if at.enough or self._now() > at.round.deadline + LATE_S:
            at.wait_s = self._settings.poll_s * (PATIENCE if at.enough else 1)
            return
        before = at.progress
        overdue = self._survey.size is None or at.looks > OVERDUE_LOOKS
        ceiling = level_of(self._network.population(), self._survey.level)
        with metrics.POLL_SECONDS.time():
            found = await self._read(at, at.watch.next(ceiling, overdue=overdue, widen=not at.need.whole))
        for announcement in self._collector.choose(at, found):
            self._begin(group, self._collector.collect(at, announcement))
        at.wait_s = next_wait(
            at.wait_s,
            self._settings.poll_s,
            news=before != at.progress,
            complete=self._complete(at),
            entries=len(found),
        )

    async def _read(self, at: Open, places: Iterable[Place]) -> dict[str, bytes]:
        """What stands in these buckets, those left out that cannot be read now."""
        found: dict[str, bytes] = {}
        reads = {place: self._network.announcements(place) for place in places}
        for place, records in zip(reads, await asyncio.gather(*reads.values(), return_exceptions=True), strict=True):
            if isinstance(records, NetworkError):
                log.debug("the DHT cannot be read: %s", records)
            elif isinstance(records, BaseException):
                raise records
            else:
                at.watch.note(place, len(records))
                found |= records
        return found

    def _complete(self, at: Open) -> bool:
        """Whether all who are expected are here: the regulars. A hosted peer may have no trainer, or none yet."""
        return bool(at.heard) and at.heard >= self._regulars
