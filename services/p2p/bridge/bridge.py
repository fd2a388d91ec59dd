"""Rollouts to and from stock RL Swarm nodes, while a round's first stage is open; off unless a setting says so.

    Bodies --cut, laid out as they do--> their key of the round, in the DHT --> stock nodes
    stock nodes --> the same key --> Door (in the gate) --> read, marked unsigned --> ROLLOUTS_PEER

Everybody's text stands in one dictionary that is read whole. So it is looked at seldom, and no longer than until
enough was taken. Nobody can tell who wrote what: nothing here counts for or against a peer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from services.p2p import metrics
from services.p2p.bridge.door import Door
from services.p2p.bridge.layouts import Unreadable
from services.p2p.bridge.payloads import groups_of, room, value_of
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.traffic.bodies import Bodies, Kept
from services.p2p.trust.tally import Tally
from services.p2p.wire.rejection import Reason
from shared.messages import Group, Rollouts, Round
from shared.runtime import Context
from shared.streams import ROLLOUTS_PEER

log = logging.getLogger(__name__)

STEP_S = 0.5  # between two looks at what is ours
LOOK_S = (1.0, 30.0)  # first and longest pause between two looks at what is theirs; it doubles
REPEAT_S = 60.0  # holders come and go: what is ours is written again
MAX_JUDGED = 4_096  # values of a round that are looked into
LIFE_S = 600.0  # of a record, as stock nodes have it


@dataclass
class _Open:
    """The open round."""

    round: Round
    written: dict[str, tuple[str, int, float]] = field(default_factory=dict)  # peer -> sha256, generation, when
    judged: set[tuple[str, int]] = field(default_factory=set)  # peer, hash of the value
    taken: set[str] = field(default_factory=set)  # peers
    pause_s: float = LOOK_S[0]
    look_at: float = 0.0


class Bridge:
    """Writes what our peers sampled for stock nodes, and takes in theirs."""

    def __init__(
        self,
        settings: P2PSettings,
        context: Context,
        network: PeerNetwork,
        rounds: Rounds,
        bodies: Bodies,
        door: Door,
        tally: Tally,
        pulse: Pulse,
        now: Callable[[], float] = time.time,
        random: Random | None = None,
    ) -> None:
        self._settings, self._context, self._network, self._rounds = settings, context, network, rounds
        self._bodies, self._door, self._tally, self._pulse, self._now = bodies, door, tally, pulse, now
        self._random = random or Random()
        self._open: _Open | None = None
        self._writers = 0  # under the key, when it was last looked at

    async def run(self) -> None:
        """Until told to stop."""
        while True:
            at = self._follow()
            if at is not None and at.round.stage == 0 and self._now() <= at.round.deadline:
                await self._write(at)
                await self._look(at)
            self._pulse.advance("bridge")
            if not await self._context.sleep(STEP_S):
                return

    def _follow(self) -> _Open | None:
        current = self._rounds.current
        if current is not None and (self._open is None or self._open.round.key != current.key):
            self._door.open(current.number)
            self._open = _Open(current, look_at=self._now() + LOOK_S[0])
        elif current is not None and self._open is not None:
            self._open.round = current  # its deadline may have been moved
        return self._open

    async def _write(self, at: _Open) -> None:
        """What our peers sampled, once more where that may have been lost."""
        kept = self._bodies.of(at.round.number, 0)
        await asyncio.gather(*(self._write_one(at, one) for one in kept if one.peer_id in self._network.hosted))

    async def _write_one(self, at: _Open, kept: Kept) -> None:
        digest, generation, when = at.written.get(kept.peer_id, ("", -1, 0.0))
        lasting = (digest, generation) == (kept.sha256, self._network.generation)
        if (lasting and self._now() < when + REPEAT_S) or (body := self._bodies.body(kept)) is None:
            return
        at.written[kept.peer_id] = kept.sha256, self._network.generation, self._now()
        rollouts, size = Rollouts.model_validate_json(body), room(max(self._writers, len(self._network.hosted)))
        value = value_of(rollouts, completions=self._settings.stock.completions, room=size)
        if value is None:
            log.info("round %d: nothing of %s is for stock nodes", at.round.number, kept.peer_id)
            return
        try:
            await self._network.write_stock(kept.peer_id, at.round.number, value, self._now() + LIFE_S)
        except NetworkError as error:
            log.info("not written for stock nodes: %s", error)
            del at.written[kept.peer_id]
            return
        metrics.STOCK_WRITTEN.inc()

    async def _look(self, at: _Open) -> None:
        """Take in what is new, of peers in a random order: nobody is first by writing early or under many names."""
        if self._now() < at.look_at or len(at.taken) >= self._settings.stock.peers:
            return
        try:
            found = await self._network.read_stock(at.round.number)
        except NetworkError as error:
            log.debug("stock nodes' key cannot be read: %s", error)
            found = {}
        self._writers = len(found)
        for peer in self._random.sample(sorted(found), len(found)):
            if peer not in self._network.hosted and len(at.taken) < self._settings.stock.peers:
                await self._take(at, peer, found[peer])
        at.pause_s = min(2 * at.pause_s, LOOK_S[1])
        at.look_at = self._now() + at.pause_s

    async def _take(self, at: _Open, peer: str, value: bytes) -> None:
        mark = (peer, hash(value))
        if peer in at.taken or mark in at.judged or len(at.judged) >= MAX_JUDGED:
            return
        at.judged.add(mark)
        try:
            groups: tuple[Group, ...] = groups_of(value)
        except Unreadable as error:
            log.debug("a stock node's rollouts cannot be read: %s", error)
            self._tally.reject(Reason.MALFORMED, f"stock {peer} {value.hex()}")
            return
        if groups:  # else one of our own kind wrote it, and we have it under its signature
            at.taken.add(peer)
            rollouts = Rollouts(peer_id=peer, round=at.round.number, stage=0, groups=groups, signed=False)
            await self._context.queue.publish(ROLLOUTS_PEER, rollouts)
            self._tally.accept_unsigned()
