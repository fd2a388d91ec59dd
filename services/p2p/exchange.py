"""The four loops of the service on a network that is up, real or not; service.py draws how they hang together."""

from __future__ import annotations

import asyncio
import logging

from services.p2p import metrics
from services.p2p.bodies import Bodies
from services.p2p.gate import Gate
from services.p2p.identities import Identity
from services.p2p.inbox import Inbox
from services.p2p.membership import Membership
from services.p2p.outbox import Outbox
from services.p2p.peerbook import PeerBook
from services.p2p.protocol import PeerNetwork
from services.p2p.pulse import Pulse
from services.p2p.rounds import Rounds
from services.p2p.settings import P2PSettings
from services.p2p.tally import Tally
from shared.errors import QueueFullError
from shared.household import put_hosted_peers
from shared.messages import Registration
from shared.names import name_of
from shared.runtime import Context
from shared.streams import SUBMISSIONS

log = logging.getLogger(__name__)


async def exchange(
    settings: P2PSettings, context: Context, network: PeerNetwork, identities: list[Identity], gate: Gate
) -> None:
    """Run the loops on a network that is up."""
    pulse = Pulse(context.health, "membership", "rounds", "outbox", "inbox")
    tally = Tally()
    gate.on_refused = tally.reject
    bodies = Bodies(context.store, tally, settings.rounds_kept)
    await bodies.load()
    network.serve(bodies.serve)
    await introduce(context, network)
    rounds = Rounds(context, pulse)
    outbox = Outbox(settings, context, network, identities, bodies, rounds, pulse)
    inbox = Inbox(settings, context, network, rounds, tally, pulse, outbox.announced)
    book = PeerBook(settings.state_dir / "p2p" / "peers.json")
    membership = Membership(network, context, pulse, book, settings.initial_peers)
    async with asyncio.TaskGroup() as group:
        for part in (membership, rounds, outbox, inbox):
            group.create_task(part.run())


async def introduce(context: Context, network: PeerNetwork) -> None:
    """Tell the household which peers it has, and the chain whose they are."""
    metrics.HOSTED.set(len(network.hosted))
    context.health.facts["peers"] = " ".join(network.hosted)
    for peer in network.hosted:
        log.info("hosting %s (%s)", name_of(peer), peer)
    for address in await network.addresses():
        log.info("others can join through INITIAL_PEERS=%s", address)
    await put_hosted_peers(context.store, list(network.hosted))
    try:
        for peer in network.hosted:
            await context.queue.publish(SUBMISSIONS, Registration(peer_id=peer))
    except QueueFullError as error:  # no coordinator for very long: rollouts can still be exchanged
        context.health.degrade("coordinator", str(error))
