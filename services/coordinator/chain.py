"""What the coordinator asks of a chain. `web3_chain.py` is the real one, `memory_chain.py` its double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.errors import SwarmError
from shared.messages import Recorded, Submission

Owner = Literal["us", "stranger", "nobody"]
Role = Literal["OWNER_ROLE", "BOOTNODE_MANAGER_ROLE", "STAGE_MANAGER_ROLE"]
ROLES: tuple[Role, ...] = ("OWNER_ROLE", "BOOTNODE_MANAGER_ROLE", "STAGE_MANAGER_ROLE")


class ChainError(SwarmError):
    """The chain cannot be used now. Nothing is lost: ask again later."""


class ChainDown(ChainError):
    """No chain answers at the address."""


class ContractMissing(ChainError):
    """The chain answers, and there is no SwarmCoordinator at the contract's address."""


@dataclass(frozen=True)
class Head:
    """The chain as it is now."""

    chain_id: int
    block: int
    round: int
    stage: int
    stages: int  # in a round
    bootnodes: tuple[str, ...]  # multiaddresses
    stage_s: int | None  # after so many seconds anybody may end a stage; 0: nobody; None: the contract has no clock
    due_at: float | None  # unix seconds, by the time of the blocks, when that is for the open stage; None: never
    forgot: bool  # True: the chain no longer knows a block it had shown us since the last look
    proof_required: bool = False  # peers are registered only with proof of their key


@dataclass(frozen=True)
class Landed:
    """A submission is on the chain, by this account."""

    transaction: str | None  # hash, 0x...; None: the chain does not tell any more
    block: int | None


@dataclass(frozen=True)
class Reverted:
    """The contract refuses a submission as things stand."""

    error: str  # the contract's error by name, or its raw data; "": it failed, and now it would not


@dataclass(frozen=True)
class Place:
    """A block of this very chain."""

    block: int
    hash: str


@dataclass(frozen=True)
class Chapter:
    """A part of the contract's history."""

    recorded: tuple[Recorded, ...]  # in order; `swarm` is left open
    skipped: int  # what strangers wrote that is no submission as we know it
    place: Place  # the last block it covers
    complete: bool  # there is no later block now


@dataclass(frozen=True)
class Listing:
    """Who may take part."""

    only: bool  # True: nobody but these
    accounts: tuple[str, ...]  # with checksum


class Owned(Protocol):
    """What an owner does. What changes something gives the transaction's hash; all raise ChainError."""

    async def listing(self) -> Listing:
        """The allow list, and whether it counts."""

    async def list_accounts(self, accounts: Sequence[str], *, listed: bool) -> str:
        """Put accounts on the list, or take them off."""

    async def only_listed(self, on: bool) -> str:
        """Let only those on the list take part, or everybody; the other rules stay."""

    async def roles(self, account: str) -> frozenset[Role]:
        """What an account may do."""

    async def grant(self, role: Role, account: str) -> str:
        """Give a role."""

    async def revoke(self, role: Role, account: str) -> str:
        """Take a role away."""


class Chain(Protocol):
    """One account's view of one SwarmCoordinator. Every call raises ChainError when the chain cannot be used now."""

    @property
    def account(self) -> str:
        """This household's address."""

    @property
    def contract(self) -> str | None:
        """The contract's address; None until `use` or `deploy`."""

    @property
    def owned(self) -> Owned | None:
        """What an owner does with the contract; None: it has no accounts but ours."""

    def use(self, contract: str) -> None:
        """Talk to this contract from now on, and forget what was known of another."""

    async def deploy(self) -> str:
        """Put a contract of our own on the chain, ourselves in all its roles, and use it; its address."""

    async def head(self) -> Head:
        """A look at the chain. Raises ContractMissing."""

    async def may_advance(self) -> bool:
        """This account may advance rounds."""

    async def owned_by(self, account: str) -> bool:
        """Whether an account is among the contract's owners."""

    async def owners(self, peers: Sequence[str]) -> list[Owner]:
        """Who registered each peer."""

    async def voters(self, number: int) -> frozenset[str]:
        """The peers that voted in a round. Of rounds long past, maybe not all."""

    async def rewarded(self, number: int, stage: int) -> frozenset[str]:
        """The peers with a reward for a stage. Of rounds long past, maybe not all."""

    async def holds(self, submissions: Sequence[Submission]) -> list[bool]:
        """Whether each is on the chain already, by this account."""

    async def find(self, submissions: Sequence[Submission]) -> list[Landed]:
        """Where each of these, that the chain holds, landed."""

    async def history(self, since: Place | None, blocks: int) -> Chapter | None:
        """What anybody put on the contract behind `since` (None: from the first block on), of at most so many blocks.

        None: `since` is not on the chain any more.
        """

    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """Send all, and wait until they are settled: rewards, which may share a transaction, then the rest in order."""

    async def set_stages(self, count: int) -> None:
        """Give rounds so many stages, and wait until that is on the chain."""

    async def set_bootnodes(self, addresses: Sequence[str]) -> None:
        """Put these multiaddresses on the contract in the place of those there, and wait until they are."""

    async def set_clock(self, stage_s: int) -> None:
        """Let anybody end a stage that has lasted so many seconds (0: nobody), and wait until that is on the chain."""

    async def advance(self) -> None:
        """Go on to the next stage or round, and wait until it is on the chain."""

    async def advance_if_due(self) -> bool:
        """The same as anybody may, by the contract's clock; False: it is not due, or somebody else came first."""
