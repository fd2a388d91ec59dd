"""Which peer this trainer is: one of those the household hosts, held by a lease that is renewed while it lives."""

from __future__ import annotations

import logging

from shared.household import LEASE, LEASE_TTL_S, hosted_peers
from shared.runtime import Context

log = logging.getLogger(__name__)


async def lease_peer(context: Context) -> str | None:
    """Wait until a hosted peer is free, and take it; the one this instance had before a crash comes first.

    None if told to stop while waiting.
    """
    while not context.stop.is_set():
        if peer := await _take(context):
            context.health.heal("peer")
            return peer
        context.health.degrade("peer", "every hosted peer is taken or p2p is not up yet; waiting")
        context.health.beat()
        await context.sleep(0.5)
    return None


async def keep_lease(context: Context, peer: str) -> None:
    """Renew the lease until told to stop, then give it back."""
    me = context.health.instance
    while await context.sleep(LEASE_TTL_S / 6):
        if not await context.store.hold(LEASE + peer, me, ttl_s=LEASE_TTL_S):
            log.error("the lease of this peer went to another trainer while this one was silent; stopping")
            context.stop.set()
            return
    await context.store.release(LEASE + peer, me)


async def _take(context: Context) -> str | None:
    me, peers = context.health.instance, await hosted_peers(context.store)
    mine = [peer for peer in peers if await context.store.get(LEASE + peer) == me]
    for peer in [*mine, *peers]:
        if await context.store.hold(LEASE + peer, me, ttl_s=LEASE_TTL_S):
            return peer
    return None
