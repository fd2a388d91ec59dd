"""Does what the swarm's owner ordered: the allow list, who takes part, another owner. Each order is answered once.

    Order --> what is it like now? --> only what is missing, in transactions --> Answer

An order is obeyed by looking first, so that one which was cut off in the middle, or is given again, ends the same way.
"""

from __future__ import annotations

import logging

from services.coordinator.chain import ROLES, Chain, ChainDown, ChainError, Owned
from shared.orders import Answer, Order, orders, put_answer, withdraw
from shared.queue import Store

log = logging.getLogger(__name__)

ASK_OWNER = "ask the swarm's owner"


async def obey(chain: Chain, store: Store) -> bool:
    """Obey all that wait; True if our roles may have changed. Raises ChainDown: they wait on, until they lapse."""
    told = await orders(store)
    for order in told:
        try:
            answer = Answer(id=order.id, lines=tuple(await _obeyed(chain, order)))
        except ChainDown:
            raise
        except ChainError as error:
            answer = Answer(id=order.id, error=error.cause, remedy=error.remedy)
        for line in (*answer.lines, answer.error):
            log.info("ordered by the owner: %s", line)
        await put_answer(store, answer)
        await withdraw(store, order)
    return bool(told)


async def _obeyed(chain: Chain, order: Order) -> list[str]:
    owned = chain.owned
    if owned is None:
        raise ChainError("this swarm runs from a ledger, which has no account but ours", "use a chain: CHAIN_URL")
    if order.heir is not None:
        return await _handed_over(owned, chain.account, order.heir, leave=order.leave)
    return await _listed(owned, chain.account, order)


async def _listed(owned: Owned, us: str, order: Order) -> list[str]:
    """The allow list as it shall be. Where it begins to count, our own account is on it."""
    before, lines = await owned.listing(), list[str]()
    ours = [us] if order.listed_only and us not in order.disallow else []
    missing = [one for one in dict.fromkeys([*order.allow, *ours]) if one not in before.accounts]
    extra = [one for one in dict.fromkeys(order.disallow) if one in before.accounts]
    switched = order.listed_only is not None and order.listed_only != before.only
    if (missing or extra or switched) and "OWNER_ROLE" not in await owned.roles(us):
        raise ChainError(f"this household's account {us} does not own the swarm's contract", ASK_OWNER)
    for accounts, listed in ((missing, True), (extra, False)):
        if accounts:
            hash_ = await owned.list_accounts(accounts, listed=listed)
            lines += [f"{one} is {'on' if listed else 'off'} the list now ({hash_})" for one in accounts]
    if switched:
        lines.append(f"who takes part is changed ({await owned.only_listed(bool(order.listed_only))})")
    after = await owned.listing()
    if not set(missing) <= set(after.accounts) or set(extra) & set(after.accounts):
        raise ChainError("the allow list is not what it should be now", "another owner may change it, too: look again")
    words = "only these accounts take part:" if after.only else "everybody may take part; the list does not count:"
    return [*lines, words, *(sorted(after.accounts) or ["(nobody)"])]


async def _handed_over(owned: Owned, us: str, heir: str, *, leave: bool) -> list[str]:
    """All roles for the heir. Rounds are led by one household, so that ours goes; on `leave`, all of ours go."""
    theirs, ours, lines = await owned.roles(heir), await owned.roles(us), list[str]()
    missing = [role for role in ROLES if role not in theirs]
    if missing and "OWNER_ROLE" not in ours:
        raise ChainError(f"this household's account {us} does not own the swarm's contract", ASK_OWNER)
    for role in missing:
        lines.append(f"{heir} has {role} now ({await owned.grant(role, heir)})")
    if heir != us:
        # The role to give others up goes last: whatever cuts this off, it can be gone on with.
        going = [role for role in reversed(ROLES) if role in ours and (leave or role == "STAGE_MANAGER_ROLE")]
        for role in going if "OWNER_ROLE" in ours else ():
            lines.append(f"this household gave up {role} ({await owned.revoke(role, us)})")
    left = sorted(await owned.roles(us))
    return [*lines, f"{heir} owns the swarm and leads its rounds; this household has {', '.join(left) or 'no role'}"]
