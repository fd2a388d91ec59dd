"""Peers' rollouts on their way in, while a round is open.

    look at the DHT --> verify --> fetch the body, once --> validate --> ROLLOUTS_PEER
          ^               |               |                    |
          |               +---- rejected, by reason -----------+--> Exchanged, when the round changes
          +-- soon after news, then ever more seldom

Each entry goes its way alone: a bad or slow one costs the others nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.p2p import metrics
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.traffic.pacing import SHORTEST_S, next_wait
from services.p2p.trust.notes import Notes
from services.p2p.trust.offence import Offence
from services.p2p.trust.reputation import Reputation
from services.p2p.trust.tally import Tally
from services.p2p.wire.announcement import Announcement, verify
from services.p2p.wire.rejection import Reason, Rejected
from services.p2p.wire.validation import validate
from shared.messages import Round
from shared.runtime import Context
from shared.streams import EVENTS, ROLLOUTS_PEER

log = logging.getLogger(__name__)

MAX_LOOKED_AT = 1_000  # announcements judged at one look
TRIES, PAUSE_S = 4, 1.0  # to fetch a body; the pause doubles
SPREAD = 0.5  # of the pause, at random: two that failed because they called each other at once do not so again
LATE_S = 30.0  # after the deadline, for which we still look who came too late


@dataclass
class _Course:
    """A peer's rollouts of the open round, as far as they have come."""

    sha256: str
    tries: int = 0
    again_at: float = 0.0  # when the next fetch may begin
    busy: bool = False
    done: bool = False  # taken or dropped for good
    accepted: bool = False


@dataclass
class _Open:
    """The open round."""

    round: Round
    courses: dict[str, _Course] = field(default_factory=dict)  # by peer
    wait_s: float = SHORTEST_S


class Inbox:
    """Collects what peers sampled."""

    def __init__(
        self,
        settings: P2PSettings,
        context: Context,
        network: PeerNetwork,
        rounds: Rounds,
        tally: Tally,
        reputation: Reputation,
        pulse: Pulse,
        news: asyncio.Event,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._context, self._network, self._rounds = settings, context, network, rounds
        self._tally, self._pulse, self._news, self._now = tally, pulse, news, now
        self._reputation = reputation
        self._notes = Notes(context.store, reputation)
        self._slots = asyncio.Semaphore(settings.fetch_concurrency)
        self._open: _Open | None = None
        self._finished = ""  # key of the final round, once it is over
        self._regulars: set[str] = set()  # peers whose rollouts of the last round were taken

    async def run(self) -> None:
        """Until told to stop."""
        async with asyncio.TaskGroup() as fetches:
            tasks: set[asyncio.Task[None]] = set()
            while not self._context.stop.is_set():
                await self._follow()
                if self._open is not None:
                    await self._look(self._open, fetches, tasks)
                await self._notes.tell(self._now())
                self._pulse.advance("inbox")
                await self._pause()
            for task in tasks:
                task.cancel()

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

    async def _follow(self) -> None:
        """Close the round that is over, open the next."""
        current, old = self._rounds.current, self._open
        if current is None or current.key == self._finished:
            return
        if old is not None and old.round.key == current.key:
            old.round = current  # its deadline may have been moved
            if current.final and self._now() > current.deadline:  # no next round will end it
                await self._close(old, report=True)
                self._open, self._finished = None, current.key
            return
        if old is not None:
            await self._close(old, report=old.round.number != current.number)
        self._open = _Open(current)
        self._context.health.facts["round"] = current.number

    async def _close(self, old: _Open, *, report: bool) -> None:
        """A stage is over, and with `report` its round too."""
        for peer, course in old.courses.items():
            if course.tries and not course.done:
                self._reject(old, peer, Reason.UNREACHABLE)
        self._regulars = {peer for peer, course in old.courses.items() if course.accepted}
        if report:
            await self._context.queue.publish(EVENTS, self._tally.close(old.round.number, self._now()))
            await self._notes.tell(self._now(), round_over=True)

    async def _look(self, at: _Open, fetches: asyncio.TaskGroup, tasks: set[asyncio.Task[None]]) -> None:
        """Read the round's announcements and set everything new on its way."""
        if self._now() > at.round.deadline + LATE_S:
            at.wait_s = self._settings.poll_s
            return
        before = (len(at.courses), sum(course.done for course in at.courses.values()))
        try:
            with metrics.POLL_SECONDS.time():
                found = await self._network.announcements(at.round.number, at.round.stage)
        except NetworkError as error:
            log.debug("the DHT cannot be read: %s", error)
            found = {}
        for peer in sorted(found, key=lambda peer: (peer not in self._regulars, peer))[:MAX_LOOKED_AT]:
            if (announcement := self._judge(at, peer, found[peer])) is not None:
                task = fetches.create_task(self._collect(at, announcement))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        news = before != (len(at.courses), sum(course.done for course in at.courses.values()))
        at.wait_s = next_wait(at.wait_s, self._settings.poll_s, news=news, complete=self._complete(at))

    def _complete(self, at: _Open) -> bool:
        """Whether all who are expected are here: the regulars. A hosted peer may have no trainer, or none yet."""
        here = {peer for peer, course in at.courses.items() if course.accepted}
        return bool(here) and here >= self._regulars

    def _judge(self, at: _Open, peer: str, value: bytes) -> Announcement | None:
        """The announcement whose body is to be fetched now; None if there is nothing (more) to do for this peer."""
        if (peer,) == self._network.hosted:
            return None  # nobody else here who could fetch it, or would read it
        try:
            announcement = verify(
                value,
                swarm=self._settings.swarm,
                round=at.round.number,
                stage=at.round.stage,
                now=self._now(),
                subkey=peer,
            )
        except Rejected as verdict:
            self._tally.reject(verdict.reason, f"{peer}{value.hex()}")
            return None
        try:
            return announcement if self._is_due(at, announcement) else None
        except Rejected as verdict:
            self._reject(at, peer, verdict.reason, value.hex())
            return None

    def _reject(self, at: _Open, peer: str, reason: Reason, what: str = "") -> None:
        """Something that this very peer sent was dropped."""
        if self._tally.reject(reason, f"{peer}{what}") and (peer in at.courses or peer in self._notes):
            self._notes.reject(peer, at.round.number, reason)

    def _is_due(self, at: _Open, announcement: Announcement) -> bool:
        """Whether to begin a fetch now. Raises Rejected."""
        peer, now = announcement.peer, self._now()
        course = at.courses.get(peer)
        if course is not None and course.busy:
            return False
        if course is not None and course.sha256 == announcement.sha256 and (course.done or now < course.again_at):
            return False
        if now > at.round.deadline:
            raise Rejected(Reason.LATE)
        if course is not None and course.accepted:
            raise Rejected(Reason.DUPLICATE)
        if self._reputation.holds(peer, now):
            raise Rejected(Reason.QUARANTINED)
        if announcement.size > self._settings.body_limit:
            raise Rejected(Reason.TOO_LARGE)
        if course is None and len(at.courses) >= self._settings.max_peers:
            raise Rejected(Reason.TOO_MANY)
        if course is None or course.sha256 != announcement.sha256:
            course = at.courses[peer] = _Course(announcement.sha256)
        course.busy = True
        return True

    async def _collect(self, at: _Open, announcement: Announcement) -> None:
        """Fetch, validate, publish."""
        peer, course = announcement.peer, at.courses[announcement.peer]
        try:
            body = await self._fetch(announcement)
            rollouts = validate(body, announcement, limit=self._settings.body_limit)
            if self._open is not at or self._now() > at.round.deadline:
                raise Rejected(Reason.LATE)
            await self._context.queue.publish(ROLLOUTS_PEER, rollouts)
            self._tally.accept()
            self._notes.accept(peer, at.round.number)
            course.done = course.accepted = True
        except NetworkError as error:
            self._put_off(at, peer, course, error)
        except Rejected as verdict:
            log.info("rollouts of %s in round %d dropped: %s", peer, at.round.number, verdict)
            self._reject(at, peer, verdict.reason, course.sha256)
            course.done = True
            if verdict.reason is not Reason.LATE:
                self._reputation.fail(peer, Offence.RUBBISH, self._now())
        finally:
            course.busy = False

    async def _fetch(self, announcement: Announcement) -> bytes:
        async with self._slots:
            with metrics.FETCH_SECONDS.time():
                body = await self._network.fetch(announcement.peer, announcement.sha256)
        self._tally.receive(len(body))
        return body

    def _put_off(self, at: _Open, peer: str, course: _Course, error: NetworkError) -> None:
        """Try again later, and not for ever."""
        log.debug("rollouts of %s cannot be fetched: %s", peer, error)
        course.tries += 1
        course.again_at = self._now() + PAUSE_S * 2 ** (course.tries - 1) * random.uniform(1, 1 + SPREAD)
        if course.tries >= TRIES:
            course.done = True
            self._reject(at, peer, Reason.UNREACHABLE)
            self._reputation.fail(peer, Offence.UNREACHABLE, self._now())
