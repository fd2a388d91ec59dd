"""The contract's list of bootnodes, as the founder wishes it: a wish in the household's store, granted once."""

from __future__ import annotations

import logging

from services.coordinator.chain import Chain, ChainError, Head
from services.coordinator.contract import Contract
from services.coordinator.link import Link
from shared.household import grant_bootnodes, wished_bootnodes

log = logging.getLogger(__name__)


async def pointed(chain: Chain, contract: Contract, link: Link, head: Head) -> Head:
    """The contract with the bootnodes that the founder wished for; where that fails, as it is."""
    store, health = link.context.store, link.context.health
    wanted = await wished_bootnodes(store)
    if wanted is None:
        health.heal("bootnodes")
        return head
    try:
        if list(head.bootnodes) != wanted:
            await chain.set_bootnodes(wanted)
    except ChainError as error:
        health.degrade("bootnodes", f"they are not what was wished for: {error}")
        return head
    await grant_bootnodes(store)
    log.info("the swarm has %d bootnodes now", len(wanted))
    return await contract.head()
