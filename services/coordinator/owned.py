"""The owner's part of a contract: its allow list, its rule who takes part, its roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from eth_utils.address import to_checksum_address

from services.coordinator.belief import Asker, believed
from services.coordinator.calls import LISTED_ONLY, RULES, SET_RULES, Call, to_be_added
from services.coordinator.chain import ROLES, ChainDown, Listing, Role

NOT_OWNER = "ask the swarm's owner"


class Governed(Asker, Protocol):
    """A contract on a chain."""

    async def ask(self, call: Call) -> Any:
        """The answer of a call that changes nothing."""

    async def govern(self, call: Call, event: str, what: str, remedy: str) -> str:
        """Send a call that needs a role, see that it left `event`; the transaction's hash."""


async def replace_bootnodes(contract: Governed, wanted: Sequence[str], remedy: str) -> None:
    """The new ones come before the old ones go: whoever looks meanwhile finds somebody. Raises ChainError."""
    what, there = "set the bootnodes", len(await contract.ask(Call("getBootnodes()", ())))
    if not wanted:
        await contract.govern(Call("clearBootnodes()", ()), "AllBootnodesCleared", what, remedy)
        return
    added = Call("addBootnodes(string[])", (to_be_added(there, wanted),))
    await contract.govern(added, "BootnodesAdded", what, remedy)
    for index in reversed(range(there)):
        await contract.govern(Call("removeBootnode(uint256)", (index,)), "BootnodeRemoved", what, remedy)


class OwnedContract:
    """`Owned` on a chain."""

    def __init__(self, contract: Governed) -> None:
        self._contract = contract

    def nonsense(self, error: Exception) -> ChainDown:
        """See `Asker.nonsense`."""
        return self._contract.nonsense(error)

    @believed
    async def listing(self) -> Listing:
        """See `Owned.listing`."""
        rules = await self._contract.ask(Call(RULES, ()))
        accounts = await self._contract.ask(Call("listedAccounts()", ()))
        return Listing(bool(rules[LISTED_ONLY]), tuple(map(to_checksum_address, accounts)))

    @believed
    async def list_accounts(self, accounts: Sequence[str], *, listed: bool) -> str:
        """See `Owned.list_accounts`."""
        call = Call("setListed(address[],bool)", (list(accounts), listed))
        return await self._contract.govern(call, "AccountListed", "change the allow list", NOT_OWNER)

    @believed
    async def only_listed(self, on: bool) -> str:
        """See `Owned.only_listed`."""
        return await self.set_rule(LISTED_ONLY, on, "change who takes part")

    async def set_rule(self, place: int, value: int, what: str) -> str:
        """Set one of the contract's rules and keep the others; the transaction's hash."""
        rules = list(await self._contract.ask(Call(RULES, ())))
        rules[place] = value
        return await self._contract.govern(Call(SET_RULES, (tuple(rules),)), "RulesSet", what, NOT_OWNER)

    @believed
    async def roles(self, account: str) -> frozenset[Role]:
        """See `Owned.roles`."""
        return frozenset([role for role in ROLES if await self._has(role, account)])

    @believed
    async def grant(self, role: Role, account: str) -> str:
        """See `Owned.grant`."""
        call = Call("grantRole(bytes32,address)", (await self._name(role), account))
        return await self._contract.govern(call, "RoleGranted", f"give {role}", NOT_OWNER)

    @believed
    async def revoke(self, role: Role, account: str) -> str:
        """See `Owned.revoke`."""
        call = Call("revokeRole(bytes32,address)", (await self._name(role), account))
        remedy = "a swarm always has an owner: let the heir take it over first"
        return await self._contract.govern(call, "RoleRevoked", f"take {role} away", remedy)

    async def _name(self, role: Role) -> bytes:
        return bytes(await self._contract.ask(Call(f"{role}()", ())))

    async def _has(self, role: Role, account: str) -> bool:
        return bool(await self._contract.ask(Call("hasRole(bytes32,address)", (await self._name(role), account))))
