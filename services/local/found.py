"""Founds a swarm without training in it: what is needed to put its contract on the chain runs for some seconds.

redis, chain, coordinator, identity, p2p --> contract on the chain, keys, addresses of peers --> use (the invite)
                                         --> stop in order
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from services.local.snapshot import ServiceRow, service_rows
from services.local.up import Prepared, down
from services.local.watch import Watch, check
from shared.errors import SwarmError
from shared.household import SwarmState

PARTS = ("redis", "chain", "coordinator", "identity", "p2p")
PATIENCE_S = 120.0  # the slowest part imports for ten seconds on a busy machine
LOOK_S = 0.3


def found(prepared: Prepared, use: Callable[[SwarmState], int], patience_s: float = PATIENCE_S) -> int:
    """Run until the swarm is there, call `use` while all runs, stop; what `use` returned. Raises SwarmError.

    A run that was up before is left up.
    """
    try:
        if not prepared.attached:
            prepared.supervisor.start(prepared.environment)
        return use(asyncio.run(_founded(prepared, time.monotonic() + patience_s)))
    finally:
        if not prepared.attached:
            down(prepared.folder)


async def _founded(prepared: Prepared, until: float) -> SwarmState:
    watch = Watch(prepared.folder, prepared.plan, prepared.environment["REDIS_URL"])
    try:
        while True:
            programs = prepared.supervisor.programs() or []
            check(programs, prepared.folder)
            await watch.look(programs)
            reached = any(state.service == "p2p" and state.facts.get("addresses") for state in watch.seen.states)
            if watch.seen.chain is not None and reached:
                return watch.seen.chain
            if time.monotonic() > until:
                raise _not_yet(service_rows(programs, watch.seen.states), prepared)
            await asyncio.sleep(LOOK_S)
    finally:
        await watch.close()


def _not_yet(services: tuple[ServiceRow, ...], prepared: Prepared) -> SwarmError:
    """What keeps it from being founded; on a chain that wants to be paid, most often an account without coins."""
    why = "; ".join(row.reason for row in services if row.reason) or "the services say nothing"
    return SwarmError(
        f"the swarm is not founded yet: {why.rstrip('.')}",
        f"see {prepared.folder.logs}, and run the same command again: it goes on from there",
    )
