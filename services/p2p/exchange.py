"""The loops of the service on a network that is up, real or not; service.py draws how they hang together."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from services.p2p.bridge.bridge import Bridge
from services.p2p.bridge.door import Door
from services.p2p.network.identities import Identity
from services.p2p.network.membership import Membership
from services.p2p.network.peerbook import PeerBook
from services.p2p.network.protocol import PeerNetwork
from services.p2p.network.seats import Seats
from services.p2p.network.watch import Watch
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.traffic.bodies import Bodies
from services.p2p.traffic.inbox import Inbox
from services.p2p.traffic.outbox import Outbox
from services.p2p.traffic.survey import Survey
from services.p2p.trust.gate import Gate
from services.p2p.trust.members import Members
from services.p2p.trust.notes import remember
from services.p2p.trust.originals import Originals
from services.p2p.trust.reputation import Reputation
from services.p2p.trust.roster import Roster
from services.p2p.trust.scrutiny import Scrutiny
from services.p2p.trust.tally import Tally
from services.p2p.trust.verdicts import Verdicts
from shared.runtime import Context

log = logging.getLogger(__name__)


class Part(Protocol):
    """A loop of the service."""

    async def run(self) -> None:
        """Until told to stop."""


async def exchange(
    settings: P2PSettings, context: Context, network: PeerNetwork, identities: list[Identity], gate: Gate
) -> None:
    """Run the loops on a network that is up."""
    bridge = ("bridge",) if settings.stock.bridge else ()
    pulse = Pulse(context.health, "watch", "membership", "rounds", "outbox", "inbox", *bridge)
    tally = Tally()
    gate.on_refused = tally.reject
    reputation = Reputation(settings.quarantine.budget, settings.quarantine.half_life_s)
    await remember(reputation, context.store, time.time())
    originals, verdicts = Originals(settings.seed), Verdicts(context, reputation, lambda: network.hosted)
    gate.on_admitted.append(lambda announcement: originals.know(announcement.peer))
    bodies = Bodies(context.store, tally, settings.rounds_kept)
    await bodies.load()
    network.serve(bodies.serve)
    known = {identity.peer_id: identity for identity in identities}
    seats = Seats(settings, context, network, known)
    await seats.introduce(network.hosted)
    for address in await network.addresses():
        log.info("others can join through INITIAL_PEERS=%s", address)
    rounds = Rounds(context, pulse)
    gate.open_round = lambda: rounds.current
    gate.members = Members(settings.members_only, lambda: network.hosted)
    survey = Survey()
    outbox = Outbox(settings, context, network, known, bodies, rounds, survey, pulse)
    scrutiny = Scrutiny(reputation, originals, verdicts, time.time)
    inbox = Inbox(settings, context, network, rounds, tally, scrutiny, survey, pulse, outbox.announced)
    book = PeerBook(settings.state_dir / "p2p" / "peers.json")
    membership = Membership(network, seats, context, pulse, rounds, book, settings.initial_peers)
    watch = Watch(network, context, pulse)
    parts: list[Part] = [watch, Roster(gate.members, originals, context), verdicts, membership, rounds, outbox, inbox]
    if settings.stock.bridge:
        gate.door = Door()
        parts.append(Bridge(settings, context, network, rounds, bodies, gate.door, tally, pulse))
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part.run())
