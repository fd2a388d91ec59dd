"""How many peers this household hosts: as many as its trainers ask for, within a bound.

    trainers --wishes, leases--> seats_wanted --> one more identity --> its p2pd --> the household, the chain

A peer once hosted is hosted again after a restart, trained or not: a trainer that comes back finds it, and with it
its checkpoint. Nobody waits for a peer that is not trained.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping

from services.p2p import metrics
from services.p2p.network.identities import Identity, load_or_create
from services.p2p.network.proofs import Proofs
from services.p2p.network.protocol import NetworkError, PeerNetwork
from services.p2p.settings import P2PSettings
from shared.errors import QueueFullError, SwarmError
from shared.household import hosted_peers, leases, put_hosted_peers, service_states, wishes
from shared.messages import Registration
from shared.names import name_of
from shared.runtime import Context
from shared.streams import SUBMISSIONS

log = logging.getLogger(__name__)

NEVER = float("-inf")


def seats_wanted(
    wishes: Mapping[str, float], hosted: Iterable[str], leases: Mapping[str, str], heard: Mapping[str, float]
) -> int:
    """How many peers are missing. All times are unix seconds.

    `wishes`: since when each trainer waits; `leases`: peer -> the trainer that has it; `heard`: when each trainer last
    reported. A peer is as good as free for a trainer that waits longer than the peer's holder has been silent: a holder
    that was killed reports no more, and its lease ends soon. One that lives reports every two seconds.
    """
    silent = sorted(heard.get(leases[peer], NEVER) if peer in leases else NEVER for peer in hosted)
    missing = 0
    for since in sorted(since for trainer, since in wishes.items() if trainer not in leases.values()):
        if silent and silent[0] <= since:
            silent.pop(0)
        else:
            missing += 1
    return missing


def seats_at_start(settings: P2PSettings) -> int:
    """As many as the settings ask for, and all that have ever been hosted here, up to the bound."""
    count = settings.peers
    while count < settings.seats_bound and settings.identity_of(count).exists():
        count += 1
    return count


class Seats:
    """Adds peers, and tells the household and the chain which there are. `identities` grows with them."""

    def __init__(
        self, settings: P2PSettings, context: Context, network: PeerNetwork, identities: dict[str, Identity]
    ) -> None:
        self._settings, self._context, self._network, self._identities = settings, context, network, identities
        self._proofs = Proofs(context)

    async def look(self) -> None:
        """Add what is missing, and tell the household what it does not know (any more)."""
        await self._grow()
        if await hosted_peers(self._context.store) != list(self._network.hosted):
            await self.introduce(self._network.hosted)
        known = self._identities
        await self._proofs.look({peer: known[peer] for peer in self._network.hosted if peer in known})

    async def introduce(self, peers: Collection[str]) -> None:
        """Tell the household which peers it has, and the chain whose they are."""
        metrics.HOSTED.set(len(self._network.hosted))
        self._context.health.facts["peers"] = " ".join(self._network.hosted)
        for peer in peers:
            log.info("hosting %s (%s)", name_of(peer), peer)
        await put_hosted_peers(self._context.store, list(self._network.hosted))
        try:
            for peer in peers:
                await self._context.queue.publish(SUBMISSIONS, Registration(peer_id=peer))
        except QueueFullError as error:  # no coordinator for very long: rollouts can still be exchanged
            self._context.health.degrade("coordinator", str(error))

    async def _grow(self) -> None:
        store, health, hosted = self._context.store, self._context.health, self._network.hosted
        waiting = await wishes(store)
        if not waiting:
            health.heal("seats")
            return
        heard = {state.instance: state.at for state in await service_states(store) if state.service == "trainer"}
        missing = seats_wanted(waiting, hosted, await leases(store), heard)
        room = self._settings.seats_bound - len(hosted)
        if missing > room:
            health.degrade("seats", f"{missing} trainers wait for a peer, and no more than P2P_PEERS_MAX are hosted")
        try:
            for index in range(len(hosted), len(hosted) + min(missing, room)):
                await self._add(index)
        except (NetworkError, SwarmError) as error:
            health.degrade("seats", f"one more peer cannot be hosted: {error}")

    async def _add(self, index: int) -> None:
        identity = await asyncio.to_thread(load_or_create, self._settings.identity_of(index))
        self._identities[identity.peer_id] = identity
        await self._network.host(identity)
        await self.introduce([identity.peer_id])
