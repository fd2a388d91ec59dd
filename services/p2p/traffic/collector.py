"""From an announcement to rollouts: judged, chosen, fetched once, validated, handed to the trainers.

Each goes its way alone: a bad or slow one costs the others nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from random import Random

from services.p2p import metrics
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.settings import P2PSettings
from services.p2p.traffic.choice import Offer, choose
from services.p2p.traffic.course import Course, Open
from services.p2p.trust.notes import Notes
from services.p2p.trust.scrutiny import Scrutiny
from services.p2p.trust.tally import Tally
from services.p2p.wire.announcement import Announcement, verify
from services.p2p.wire.packing import unpack
from services.p2p.wire.rejection import Reason, Rejected
from services.p2p.wire.validation import validate
from shared.messages import Rollouts
from shared.runtime import Context
from shared.streams import ROLLOUTS_PEER

log = logging.getLogger(__name__)

MAX_LOOKED_AT = 1_000  # announcements judged at one look, any of those that were found
TRIES, PAUSE_S = 4, 1.0  # to fetch a body; the pause doubles
SPREAD = 0.5  # of the pause, at random: two that failed because they called each other at once do not so again


class Collector:
    """Takes what peers announced in an open round."""

    def __init__(
        self,
        settings: P2PSettings,
        context: Context,
        network: PeerNetwork,
        tally: Tally,
        scrutiny: Scrutiny,
        now: Callable[[], float],
        random: Random,
    ) -> None:
        self._settings, self._context, self._network = settings, context, network
        self._tally, self._scrutiny, self._now, self._random = tally, scrutiny, now, random
        self._slots = asyncio.Semaphore(settings.fetch_concurrency)
        self.notes = Notes(context.store, scrutiny.reputation)

    def choose(self, at: Open, found: Mapping[str, bytes]) -> list[Announcement]:
        """Whose bodies to fetch now, of all that was found; their courses have begun."""
        looked_at = self._random.sample(sorted(found), min(len(found), MAX_LOOKED_AT))
        due = {peer: told for peer in looked_at if (told := self._judge(at, peer, found[peer])) is not None}
        now, room = self._now(), self._settings.max_peers - len(at.courses.keys() - due.keys())
        offers = [
            Offer(peer, told.informative, 1 / (1 + self._scrutiny.reputation.weight(peer, now)), known=peer in at.known)
            for peer, told in due.items()
        ]
        chosen = [due[offer.peer] for offer in choose(offers, at.need, at.claims, room, self._random)]
        for told in chosen:
            self._begin(at, told)
        return chosen

    def _begin(self, at: Open, told: Announcement) -> None:
        course = at.courses.get(told.peer)
        if course is None or course.sha256 != told.sha256:
            course = at.courses[told.peer] = Course(told.sha256, told.informative)
        course.busy = True

    def _judge(self, at: Open, peer: str, value: bytes) -> Announcement | None:
        """The announcement whose body could be fetched now; None if there is nothing (more) to do for this peer."""
        if (peer,) == self._network.hosted:
            return None  # nobody else here who could fetch it, or would read it
        swarm, number, stage = self._settings.swarm, at.round.number, at.round.stage
        try:
            announcement = verify(value, swarm=swarm, round=number, stage=stage, now=self._now(), subkey=peer)
        except Rejected as verdict:
            self._tally.reject(verdict.reason, f"{peer}{value.hex()}")
            return None
        try:
            return announcement if self._is_due(at, announcement) else None
        except Rejected as verdict:
            self._reject(at, peer, verdict.reason, value.hex())
            return None

    def _is_due(self, at: Open, announcement: Announcement) -> bool:
        """Whether a fetch may begin now. Raises Rejected."""
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
        if self._scrutiny.reputation.holds(peer, now):
            raise Rejected(Reason.QUARANTINED)
        if announcement.size > self._settings.body_limit:
            raise Rejected(Reason.TOO_LARGE)
        if course is None and len(at.courses) >= self._settings.max_peers:
            raise Rejected(Reason.TOO_MANY)
        return True

    def _reject(self, at: Open, peer: str, reason: Reason, what: str = "") -> None:
        """Something that this very peer sent was dropped."""
        if self._tally.reject(reason, f"{peer}{what}") and (peer in at.courses or peer in self.notes):
            self.notes.reject(peer, at.round.number, reason)

    async def collect(self, at: Open, announcement: Announcement) -> None:
        """Fetch, validate, publish."""
        peer, course = announcement.peer, at.courses[announcement.peer]
        try:
            rollouts = await self._fetch(announcement)
            self._scrutiny.inspect(rollouts)
            if at.closed or self._now() > at.round.deadline:
                raise Rejected(Reason.LATE)
            await self._context.queue.publish(ROLLOUTS_PEER, rollouts)
            self._scrutiny.took(announcement)
            self._tally.accept()
            self.notes.accept(peer, at.round.number)
            course.done = course.accepted = True
        except NetworkError as error:
            self._put_off(at, peer, course, error)
        except Rejected as verdict:
            log.info("rollouts of %s in round %d dropped: %s", peer, at.round.number, verdict)
            self._reject(at, peer, verdict.reason, course.sha256)
            course.done = True
            self._scrutiny.blame(peer, verdict.reason)
        finally:
            course.busy = False

    async def _fetch(self, announcement: Announcement) -> Rollouts:
        async with self._slots:
            with metrics.FETCH_SECONDS.time():
                packed = await self._network.fetch(announcement.peer, announcement.sha256)
        self._tally.receive(len(packed))
        body = unpack(packed, announcement.size)  # which was seen to be within the limit
        return validate(body, announcement, limit=self._settings.body_limit)

    def _put_off(self, at: Open, peer: str, course: Course, error: NetworkError) -> None:
        """Try again later, and not for ever."""
        log.debug("rollouts of %s cannot be fetched: %s", peer, error)
        course.tries += 1
        pause_s = PAUSE_S * 2 ** (course.tries - 1) * self._random.uniform(1, 1 + SPREAD)
        course.again_at = self._now() + pause_s
        if course.tries >= TRIES:
            course.done = True
            self._reject(at, peer, Reason.UNREACHABLE)
            self._scrutiny.blame(peer, Reason.UNREACHABLE)

    def close(self, at: Open) -> None:
        """A stage is over: what is still on its way comes too late."""
        at.closed = True
        for peer, course in at.courses.items():
            if course.tries and not course.done:
                self._reject(at, peer, Reason.UNREACHABLE)
