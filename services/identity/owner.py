"""The owner's commands: `allow`, `disallow`, `hand-over`. The coordinator does it, identity signs it.

command --Order--> Store --> coordinator --> contract
   |  <--Answer---- Store <------+
   +--heir.json--> identity, which signs roles for nobody else
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from eth_utils.address import is_checksum_address

from services.identity.settings import IdentitySettings
from services.identity.signing.heir import forget_heir, name_heir
from services.identity.signing.owner import Heir
from shared.errors import SettingsError, SwarmError
from shared.household import service_states
from shared.orders import MAX_ACCOUNTS, Answer, Order, answer_to, give_order, withdraw
from shared.queue import Store
from shared.queue.redis import RedisError, RedisStore, connect

PATIENCE_S = 60.0
STALE_S = 5.0  # what services say of themselves may be so old
LOOK_S = 0.2
WHAT_IT_DOES = """{heir} becomes an owner of the swarm's contract, with all three roles.
From then on its household leads the rounds, and this one follows them.
{ours}
Whoever has that account can upgrade the contract and take every role away from this household."""
STAYS = "This household stays an owner beside it: it can invite, and hand over again."
LEAVES = """This household gives up all of its roles: it cannot take the swarm back,
and its invites are foreign from then on."""


def add_owner_commands(commands: Any) -> None:
    """Add them to the subparsers of the command line."""
    allowing = commands.add_parser("allow")
    allowing.set_defaults(run=allow)
    allowing.add_argument("address", nargs="*")
    allowing.add_argument("--only-listed", choices=("on", "off"), help="whether only accounts on the list take part")
    disallowing = commands.add_parser("disallow")
    disallowing.set_defaults(run=disallow)
    disallowing.add_argument("address", nargs="+")
    handing = commands.add_parser("hand-over")
    handing.set_defaults(run=hand_over)
    handing.add_argument("address")
    handing.add_argument("--leave", action="store_true", help="give up all of this household's roles")
    handing.add_argument("--yes", action="store_true", help="do not ask")


def allow(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """Put accounts on the allow list, and say who takes part; with nothing named, only that."""
    only = {"on": True, "off": False}.get(told.only_listed)
    return _ordered(settings, Order(id=_id(), allow=_accounts(told.address), listed_only=only))


def disallow(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """Take accounts off the allow list."""
    return _ordered(settings, Order(id=_id(), disallow=_accounts(told.address)))


def hand_over(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """Make another account the owner who leads the rounds."""
    (heir,) = _accounts([told.address])
    if not told.yes:
        _confirm(WHAT_IT_DOES.format(heir=heir, ours=LEAVES if told.leave else STAYS))
    name_heir(settings.home, Heir(heir, told.leave), time.time())
    try:
        return _ordered(settings, Order(id=_id(), heir=heir, leave=told.leave))
    finally:
        forget_heir(settings.home)


def _accounts(texts: list[str]) -> tuple[str, ...]:
    """Accounts by their checksums: a letter that is wrong would let in, or give the swarm to, nobody for ever."""
    if len(texts) > MAX_ACCOUNTS:
        raise SettingsError(f"{len(texts)} accounts are too many at once", f"name {MAX_ACCOUNTS} at most")
    for text in texts:
        if not is_checksum_address(text) or int(text, 16) == 0:
            raise SettingsError(
                f"{text[:60]!r} is no account with its checksum",
                "copy all of it with its capital letters, as its owner's page shows it: 0x and 40 digits and letters",
            )
    return tuple(texts)


def _confirm(words: str) -> None:
    print(words, file=sys.stderr)
    if not sys.stdin.isatty():
        raise SwarmError("there is no terminal to ask in", "say it with --yes")
    print("Hand over? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() != "yes":
        raise SwarmError("nothing was done", "type yes to hand over")


def _id() -> str:
    return secrets.token_hex(16)


def _ordered(settings: IdentitySettings, order: Order) -> str:
    """Give the order and wait for the answer. Raises SwarmError."""

    async def once() -> Answer:
        client = connect(settings.redis_url, settings.redis_password(), retries=2)
        try:
            return await obeyed(RedisStore(client), order)
        finally:
            await client.aclose()

    try:
        answer = asyncio.run(once())
    except (RedisError, OSError) as error:
        raise SwarmError(f"Redis does not answer ({type(error).__name__})", "see that the swarm is up") from error
    if answer.error:
        raise SwarmError(answer.error, answer.remedy)
    return "\n".join(answer.lines)


async def obeyed(
    store: Store, order: Order, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
) -> Answer:
    """The coordinator's answer. Raises SwarmError where there is none to be had; the order is withdrawn then."""
    await give_order(store, order)
    began = clock()
    try:
        while (answer := await answer_to(store, order)) is None:
            waited = clock() - began
            if waited > STALE_S and (why := await _silence(store)):
                raise why
            if waited > patience_s:
                raise SwarmError("the coordinator has not done it yet", "see its log, and give the order again")
            await asyncio.sleep(LOOK_S)
        return answer
    finally:
        await withdraw(store, order)


async def _silence(store: Store) -> SwarmError | None:
    """Why there is no answer; None: the coordinator is at it."""
    told = [state for state in await service_states(store) if state.service == "coordinator"]
    if not told:
        return SwarmError("no coordinator runs here, which would send it to the contract", "start the swarm")
    why = next((state.degraded[part] for part in ("chain", "identity") for state in told if part in state.degraded), "")
    if not why:
        return None
    cause, _, remedy = why.rstrip(".").partition(". ")
    return SwarmError(cause, remedy or "try again later")
