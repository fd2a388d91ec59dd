"""Which peer this trainer is: one of those the household hosts, held by a lease that is renewed while it lives.

    free peer? --yes--> lease it, lock it ------------------------------------> train
        ^ |
        | no: wish for one --> p2p hosts one more, unless one will be free
        +------ wait

The lease is for the household; the lock is for the folder: whatever the leases say, one process trains a peer.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from pathlib import Path

from services.trainer.state.locks import try_lock
from shared.errors import SwarmError
from shared.household import LEASE, LEASE_TTL_S, hosted_peers, leases, wish_for_peer, withdraw_wish
from shared.runtime import Context

log = logging.getLogger(__name__)

WAIT_S = 0.5


async def lease_peer(context: Context, folder: Path, held: ExitStack) -> str | None:
    """Wait until a hosted peer is free, and take it; the one this instance had before a crash comes first.

    `held` keeps its lock, a file in `folder`. None if told to stop while waiting.
    """
    me, since = context.health.instance, time.time()
    while not context.stop.is_set():
        if peer := await _take(context, folder, held):
            context.health.heal("peer")
            break
        await wish_for_peer(context.store, me, since)
        context.health.beat()
        await context.sleep(WAIT_S)
    else:
        peer = None
    await withdraw_wish(context.store, me)
    return peer


async def keep_lease(context: Context, peer: str) -> None:
    """Renew the lease until told to stop, then give it back. Raises SwarmError if it went to another."""
    me = context.health.instance
    while await context.sleep(LEASE_TTL_S / 6):
        if not await context.store.hold(LEASE + peer, me, ttl_s=LEASE_TTL_S):
            raise SwarmError(
                "the lease of this peer went to another trainer while this one was silent",
                "it is started again and takes a free one",
            )
    await context.store.release(LEASE + peer, me)


async def _take(context: Context, folder: Path, held: ExitStack) -> str | None:
    me, peers = context.health.instance, await hosted_peers(context.store)
    holders, reason = await leases(context.store), "every hosted peer is taken or p2p is not up yet; waiting"
    for peer in sorted(peers, key=lambda peer: holders.get(peer) != me):
        if not await context.store.hold(LEASE + peer, me, ttl_s=LEASE_TTL_S):
            continue
        if (lock := try_lock(folder / f"{peer}.lock")) is not None:
            held.enter_context(lock)
            return peer
        reason = f"another process trains as peer {peer}; is each trainer told an INSTANCE of its own? ({me})"
    context.health.degrade("peer", reason)
    return None
