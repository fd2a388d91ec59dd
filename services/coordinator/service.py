"""The coordinator: the household's word to the chain, and the chain's word to the household.

    chain --look--> Clock ---ROUNDS, SwarmState, bootnodes--> trainers, p2p, identity
      ^               ^ |
      |          voted| |up            (Link: the two tell each other)
      |               | v
      +--transactions- Submitter <--SUBMISSIONS-- trainers, p2p
                           +-------LEDGER-------> identity, local
    chain --logs--> History ---HISTORY----------> identity
    chain <-bets, claims, games- House <--WAGERS-- trainers, identity      (PRG_GAME, see market/house.py)
    SWARM_INVITE -> Admission: who was invited sees that the founder owns the contract before anything else happens

Transactions are signed by identity (signer.py): no private key is ever here.
Rounds are advanced by the clock of the household that leads; all others follow the chain. Without a chain the
coordinator waits, degraded, and takes nothing from the queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from services.coordinator import metrics
from services.coordinator.books import Books
from services.coordinator.chain import Chain, ChainError, ContractMissing
from services.coordinator.clock import Clock
from services.coordinator.contract import Contract
from services.coordinator.history import History
from services.coordinator.invited import Admission
from services.coordinator.ledger import LedgerChain
from services.coordinator.link import Link
from services.coordinator.market.house import NO_CHAIN, PART, House
from services.coordinator.settings import LEDGER, CoordinatorSettings
from services.coordinator.signer import NOBODY, Account, OfAccount, RemoteSigner, Signer, SignerError
from services.coordinator.submitter import Submitter
from services.coordinator.web3_chain import Web3Chain
from shared.runtime import Context

log = logging.getLogger(__name__)

ASK_S = 2.0  # between two questions to identity
STARTING_S = 15.0  # both are started at the same time: so long its silence is nothing to speak of
WAITS = {
    "none": "this household has no account yet; rewards wait until somebody signs up on the page",
    "locked": "the account's key is locked; rewards wait until its owner logs in",
}


class AccountChanged(Exception):
    """Identity has another account than the one we began with."""


async def run(settings: CoordinatorSettings, context: Context) -> None:
    """Serve until told to stop; anew when the household's account becomes another one."""
    signer = RemoteSigner(settings.signer_url, settings.signing_token())
    try:
        while (address := await first_address(signer, context)) is not None:
            log.info("this household's account is %s", "still to be made" if address == NOBODY else address)
            chain = chain_of(settings, OfAccount(signer, address))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(coordinate(settings, context, chain))
                    group.create_task(watch_account(signer, address, context))
            except* AccountChanged:
                log.warning("identity has another account now: beginning again with it")
            finally:
                if isinstance(chain, LedgerChain):
                    chain.close()
    finally:
        await signer.close()


def chain_of(settings: CoordinatorSettings, signer: Signer) -> Chain:
    """The chain of the settings, or the ledger in its place."""
    if settings.chain_url == LEDGER:
        log.info("there is no chain: rounds run from a ledger of signed transactions on this machine")
        return LedgerChain(settings.home / "ledger.db", signer, settings.contracts, settings.chain_id)
    timeout_s = settings.receipt_timeout_s
    return Web3Chain(settings.chain_url, signer, settings.contracts, receipt_timeout_s=timeout_s)


async def coordinate(settings: CoordinatorSettings, context: Context, chain: Chain) -> None:
    """Clock, submitter and history on one chain, until told to stop or one of them dies."""
    admission = Admission(settings.invite, settings.home)
    link, books = Link(context), Books(context.store, context.queue)
    contract = Contract(chain, link, settings.swarm_contract, settings.home / "deployment.json")
    rules = settings.clock.model_copy(update={"ledger": settings.chain_url == LEDGER})
    clock = Clock(chain, contract, link, books, rules)
    submitter = Submitter(chain, link, books, consumer=settings.instance, batch=settings.batch, poll_s=settings.poll_s)
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_time(clock, link, settings.poll_s, lambda: admission.check(chain)))
        group.create_task(submitter.run())
        group.create_task(History(chain, link, settings.poll_s).run())
        if settings.market.enabled and isinstance(chain, Web3Chain):
            house = House(
                chain.market(),
                chain,
                link,
                settings.market,
                settings.home,
                consumer=settings.instance,
                poll_s=3 * settings.poll_s,
            )
            group.create_task(house.run())
        elif settings.market.enabled:
            context.health.degrade(PART, NO_CHAIN)


async def first_address(signer: RemoteSigner, context: Context) -> str | None:
    """The household's address, as soon as identity answers; None when told to stop before."""
    since = time.monotonic()
    while not context.stop.is_set():
        try:
            account = await signer.account()
        except SignerError as error:
            if time.monotonic() - since > STARTING_S:
                context.health.degrade("identity", str(error))
            context.health.beat()
            await context.sleep(ASK_S / 4)
            continue
        _tell(account, context)
        return account.address
    return None


async def watch_account(signer: RemoteSigner, address: str, context: Context) -> None:
    """Tell how the account is until told to stop. Raises AccountChanged."""
    while await context.sleep(ASK_S):
        try:
            account = await signer.account()
        except SignerError as error:
            context.health.degrade("identity", str(error))
            continue
        if account.address != address:
            raise AccountChanged
        _tell(account, context)


def _tell(account: Account, context: Context) -> None:
    if account.state == "ready":
        context.health.heal("identity")
    else:
        context.health.degrade("identity", WAITS[account.state])


async def keep_time(clock: Clock, link: Link, poll_s: float, admitted: Callable[[], Awaitable[None]]) -> None:
    """Look at the chain again and again; the first look decides whether invite and contract's address are good.

    Raises ContractMissing if there has never been a contract at the address in the settings, SettingsError if the
    invite is foreign.
    """
    seen = False
    while not link.context.stop.is_set():
        try:
            await admitted()
            await clock.step()
        except ChainError as error:
            if isinstance(error, ContractMissing) and not seen:
                raise
            metrics.OUTAGES.inc()
            link.up.clear()
            link.context.health.degrade("signing" if isinstance(error, SignerError) else "chain", str(error))
        else:
            seen = True
            link.up.set()
            link.context.health.heal("chain")
            link.context.health.heal("signing")
        link.pulse("clock")
        if not link.up.is_set():
            link.pulse("submitter")  # it waits for the chain, as it should
        await link.wait(link.voted, poll_s)
        link.voted.clear()
