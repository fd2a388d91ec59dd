"""The peer-to-peer service of a household: the only one that talks to strangers.

    coordinator --ROUNDS--> Rounds --------------------------+-----------------+
                                                             v                 |
    trainer --ROLLOUTS_LOCAL--> Outbox --sign, announce--> PeerNetwork         |
                                  |                          ^  |              |
                                  v                          |  | read         v
                                Bodies --serve, by hash------+  +---------> Inbox --ROLLOUTS_PEER--> trainer
                                                             |  fetch, judge   +----Exchanged------> identity
    trainer --EVENTS--> Verdicts --> Reputation <--Scrutiny--+-----------------+
    chain's bootnodes, INITIAL_PEERS, peer book --> Membership --> meets peers
                                                    Watch -------> p2pd that died or hangs is started anew
    Bodies --> Bridge, if it is on --> stock RL Swarm nodes --> Bridge --ROLLOUTS_PEER, unsigned--> trainer
    trainers that find no free peer --------------> Seats -------> one more peer, the household and the chain told

The loops run side by side and wait for nobody but the queue and the network, each within a limit. `Gate` stands
between the network and whatever strangers store here, `Scrutiny` looks at whose rollouts a body holds; `Tally` counts
what the loops and the gate did in the round, `Notes` tell people what is known of each peer.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.p2p.exchange import exchange
from services.p2p.network.hosted import HostedPeers
from services.p2p.network.identities import Identity, held, load_or_create
from services.p2p.network.protocol import NetworkError
from services.p2p.network.seats import seats_at_start
from services.p2p.settings import P2PSettings, is_address
from services.p2p.trust.gate import Gate
from shared.errors import SwarmError
from shared.household import bootnodes
from shared.runtime import Context


async def run(settings: P2PSettings, context: Context) -> None:
    """Bring the peers up, exchange rollouts until told to stop, leave nothing behind."""
    with only_one(settings.state_dir / "p2p" / "lock"):
        identities = [load_or_create(settings.identity_of(index)) for index in range(seats_at_start(settings))]
        with held(settings.identity_of(0)):  # the only one that may lie outside of the locked folder
            await live(settings, context, identities)


async def live(settings: P2PSettings, context: Context, identities: list[Identity]) -> None:
    """Be in the swarm as these peers."""
    gate = Gate(settings.swarm, time.time)
    network = HostedPeers(settings, identities, gate)
    chain = [text for text in await bootnodes(context.store) if is_address(text)]
    network.entries = (*settings.initial_peers, *chain)
    try:
        await start(network)
        await exchange(settings, context, network, identities, gate)
    finally:
        await network.stop()


async def start(network: HostedPeers) -> None:
    """Bring the peers up. Raises SwarmError."""
    try:
        await network.start()
    except NetworkError as error:
        raise SwarmError(
            f"the peers cannot be started: {error}", "set P2P_HOST, P2P_PORT and P2P_ANNOUNCE_HOST"
        ) from error


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Two services with the same identities would take each other's connections."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SwarmError(
                f"another p2p service runs on {path.parent.parent}", "stop it, or set STATE_DIR to another folder"
            ) from error
        yield
