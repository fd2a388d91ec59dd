"""What the founder wants of the contract beside its rounds: how many stages they have, and its clock."""

from __future__ import annotations

import logging

from services.coordinator.chain import Chain, ChainError, Head
from services.coordinator.contract import Contract
from services.coordinator.link import Link

log = logging.getLogger(__name__)


async def staged(chain: Chain, contract: Contract, link: Link, head: Head, wanted: int | None) -> Head:
    """The contract with as many stages in a round as are wanted (None: any); where that fails, as it is."""
    if wanted is None or wanted == head.stages:
        return head
    try:
        await chain.set_stages(wanted)
    except ChainError as error:
        link.context.health.degrade("stages", f"rounds have {head.stages} of them and not {wanted}: {error}")
        return head
    link.context.health.heal("stages")
    log.info("rounds have %d stages now", wanted)
    return await contract.head()


async def timed(chain: Chain, contract: Contract, link: Link, head: Head, wanted: int | None) -> Head:
    """The contract with the clock that is wanted (seconds; 0: none; None: any); where that fails, as it is."""
    health = link.context.health
    if wanted is None or head.stage_s is None or wanted == head.stage_s:
        health.heal("clock")
        return head
    try:
        await chain.set_clock(wanted)
    except ChainError as error:
        health.degrade("clock", f"others end a stage after {head.stage_s} s (0: never) and not {wanted}: {error}")
        return head
    health.heal("clock")
    log.info("anybody may end a stage after %d s now (0: nobody but who leads)", wanted)
    return await contract.head()
