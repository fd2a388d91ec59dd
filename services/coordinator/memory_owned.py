"""`Owned` of the chain in one process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from services.coordinator.chain import ROLES, ChainError, Landed, Listing, Role


class Swarm(Protocol):
    """A contract's storage, as far as it is its owners'."""

    held: set[tuple[Role, str]]
    listed: list[str]
    listed_only: bool


class OwnedMemory:
    """See `Owned`."""

    def __init__(self, swarm: Swarm, account: str, mine: Callable[[], Landed]) -> None:
        self._swarm, self._account, self._mine = swarm, account, mine

    async def listing(self) -> Listing:
        """See `Owned.listing`."""
        return Listing(self._swarm.listed_only, tuple(self._swarm.listed))

    async def list_accounts(self, accounts: Sequence[str], *, listed: bool) -> str:
        """See `Owned.list_accounts`."""
        done = self._done("change the allow list")
        others = [one for one in self._swarm.listed if one not in accounts]
        self._swarm.listed = [*others, *accounts] if listed else others
        return done

    async def only_listed(self, on: bool) -> str:
        """See `Owned.only_listed`."""
        done = self._done("change who takes part")
        self._swarm.listed_only = on
        return done

    async def roles(self, account: str) -> frozenset[Role]:
        """See `Owned.roles`."""
        return frozenset(role for role in ROLES if (role, account) in self._swarm.held)

    async def grant(self, role: Role, account: str) -> str:
        """See `Owned.grant`."""
        done = self._done(f"give {role}")
        self._swarm.held.add((role, account))
        return done

    async def revoke(self, role: Role, account: str) -> str:
        """See `Owned.revoke`."""
        owners = {holder for held, holder in self._swarm.held if held == "OWNER_ROLE"}
        if role == "OWNER_ROLE" and owners == {account}:
            raise ChainError(f"this account may not take {role} away (LastOwner)", "let an heir take it over first")
        done = self._done(f"take {role} away")
        self._swarm.held.discard((role, account))
        return done

    def _done(self, what: str) -> str:
        if ("OWNER_ROLE", self._account) not in self._swarm.held:
            raise ChainError(f"this account may not {what} (OnlyOwner)", "ask the swarm's owner")
        return self._mine().transaction or ""
