"""The coordinator: the household's word to the chain, and the chain's word to the household.

    chain --look--> Clock ---ROUNDS, SwarmState, bootnodes--> trainers, p2p, identity
      ^               ^ |
      |          voted| |up            (Link: the two tell each other)
      |               | v
      +--transactions- Submitter <--SUBMISSIONS-- trainers, p2p
                           +-------LEDGER-------> identity, local

Rounds are advanced by the clock of the household that leads; all others follow the chain. Without a chain the
coordinator waits, degraded, and takes nothing from the queue.
"""

from __future__ import annotations

import asyncio
import logging

from services.coordinator import metrics
from services.coordinator.account import load_key
from services.coordinator.books import Books
from services.coordinator.chain import Chain, ChainError, ContractMissing
from services.coordinator.clock import Clock
from services.coordinator.contract import Contract
from services.coordinator.link import Link
from services.coordinator.settings import CoordinatorSettings
from services.coordinator.submitter import Submitter
from services.coordinator.web3_chain import Web3Chain
from shared.runtime import Context

log = logging.getLogger(__name__)


async def run(settings: CoordinatorSettings, context: Context) -> None:
    """Serve until told to stop."""
    key = load_key(settings.home / "account.key")
    chain = Web3Chain(
        settings.chain_url,
        key,
        settings.contracts,
        batch=settings.batch,
        receipt_timeout_s=settings.receipt_timeout_s,
    )
    log.info("this household's account is %s", chain.account)
    await coordinate(settings, context, chain)


async def coordinate(settings: CoordinatorSettings, context: Context, chain: Chain) -> None:
    """Clock and submitter on one chain, until told to stop or one of them dies."""
    link, books = Link(context), Books(context.store, context.queue)
    contract = Contract(chain, link, settings.swarm_contract, settings.home / "deployment.json")
    clock = Clock(chain, contract, link, books, settings.clock)
    submitter = Submitter(chain, link, books, consumer=settings.instance, batch=settings.batch, poll_s=settings.poll_s)
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_time(clock, link, settings.poll_s))
        group.create_task(submitter.run())


async def keep_time(clock: Clock, link: Link, poll_s: float) -> None:
    """Look at the chain again and again; the first look decides whether the contract's address is a good one.

    Raises ContractMissing if there has never been a contract at the address in the settings.
    """
    seen = False
    while not link.context.stop.is_set():
        try:
            await clock.step()
        except ChainError as error:
            if isinstance(error, ContractMissing) and not seen:
                raise
            metrics.OUTAGES.inc()
            link.up.clear()
            link.context.health.degrade("chain", str(error))
        else:
            seen = True
            link.up.set()
            link.context.health.heal("chain")
        link.pulse("clock")
        if not link.up.is_set():
            link.pulse("submitter")  # it waits for the chain, as it should
        await link.wait(link.voted, poll_s)
        link.voted.clear()
