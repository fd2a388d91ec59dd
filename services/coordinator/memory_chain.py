"""A chain in one process, for tests; the same contract tests run on it and on a real one.

`Ledger` is the chain itself, which several accounts share and tests break: `up`, `reset`, `snapshot`, `restore`.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.coordinator.batches import MOST, parcels
from services.coordinator.calls import proved
from services.coordinator.chain import (
    ROLES,
    ChainDown,
    ChainError,
    Chapter,
    ContractMissing,
    Head,
    Landed,
    Owner,
    Place,
    Reverted,
    Role,
)
from services.coordinator.memory_owned import OwnedMemory
from services.coordinator.refusals import Standing, following, refusal
from shared.messages import Recorded, Registration, Reward, Submission, Winners

CHAIN_ID = 685685
_serial = itertools.count(1)


@dataclass
class _Swarm:
    """One contract's storage."""

    held: set[tuple[Role, str]] = field(default_factory=set)  # role and account
    listed: list[str] = field(default_factory=list)
    listed_only: bool = False
    round: int = 0
    stage: int = 0
    stages: int = 1
    stage_s: int = 0
    began: float = 0.0  # the stage, unix seconds
    proof_required: bool = False
    bootnodes: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)  # peer -> account
    landed: dict[str, tuple[Submission, Landed]] = field(default_factory=dict)  # by the submission's key


@dataclass
class _State:
    blocks: list[str]  # hashes
    swarms: dict[str, _Swarm] = field(default_factory=dict)


def _hash() -> str:
    return f"0x{next(_serial):064x}"


class Ledger:
    """A chain that mines each transaction in a block of its own."""

    def __init__(self) -> None:
        self.up = True
        self.transactions = 0  # mined, reverted ones included
        self._state = self._new()

    @staticmethod
    def _new() -> _State:
        return _State([_hash()])

    @property
    def state(self) -> _State:
        """The storage. Raises ChainDown while the chain is down."""
        if not self.up:
            raise ChainDown("no chain answers", "start it")
        return self._state

    def mine(self) -> Landed:
        """Put one more block on the chain."""
        self.transactions += 1
        self.state.blocks.append(_hash())
        return Landed(self.state.blocks[-1], len(self.state.blocks) - 1)

    def reset(self) -> None:
        """Begin the chain anew: everything on it is gone."""
        self._state = self._new()

    def snapshot(self) -> _State:
        """The chain as it was last written to disk."""
        return copy.deepcopy(self._state)

    def restore(self, state: _State) -> None:
        """Go back to it."""
        self._state = copy.deepcopy(state)


class MemoryChain:
    """See `Chain`."""

    def __init__(self, ledger: Ledger | None = None, account: str = f"0x{1:040x}") -> None:
        self.ledger = ledger or Ledger()
        self._account = account
        self._contract: str | None = None
        self._known: tuple[int, str] | None = None

    @property
    def account(self) -> str:
        """See `Chain.account`."""
        return self._account

    @property
    def contract(self) -> str | None:
        """See `Chain.contract`."""
        return self._contract

    @property
    def owned(self) -> OwnedMemory:
        """See `Chain.owned`."""
        return OwnedMemory(self.swarm, self._account, self._see)

    @property
    def swarm(self) -> _Swarm:
        """The contract's storage. Raises ContractMissing."""
        found = self.ledger.state.swarms.get(self._contract or "")
        if found is None:
            raise ContractMissing(f"there is no contract at {self._contract} on this chain", "see SWARM_CONTRACT")
        return found

    def use(self, contract: str) -> None:
        """See `Chain.use`."""
        self._contract, self._known = contract, None

    async def deploy(self) -> str:
        """See `Chain.deploy`."""
        address = f"0x{len(self.ledger.state.blocks) + 0xC0DE:040x}"
        self.ledger.mine()
        self.ledger.state.swarms[address] = _Swarm(held={(role, self._account) for role in ROLES})
        self.use(address)
        return address

    async def head(self) -> Head:
        """See `Chain.head`."""
        state, swarm = self.ledger.state, self.swarm
        forgot = self._known is not None and state.blocks[self._known[0] : self._known[0] + 1] != [self._known[1]]
        block = len(state.blocks) - 1
        self._known = (block, state.blocks[-1])
        place = (swarm.round, swarm.stage, swarm.stages)
        due_at = swarm.began + swarm.stage_s if swarm.stage_s else None
        bootnodes = tuple(swarm.bootnodes)
        return Head(CHAIN_ID, block, *place, bootnodes, swarm.stage_s, due_at, forgot, swarm.proof_required)

    async def may_advance(self) -> bool:
        """See `Chain.may_advance`."""
        return ("STAGE_MANAGER_ROLE", self._account) in self.swarm.held

    async def owned_by(self, account: str) -> bool:
        """See `Chain.owned_by`."""
        return ("OWNER_ROLE", account) in self.swarm.held

    async def owners(self, peers: Sequence[str]) -> list[Owner]:
        """See `Chain.owners`."""
        return [self._owner(peer) for peer in peers]

    async def voters(self, number: int) -> frozenset[str]:
        """See `Chain.voters`."""
        landed = [submission for submission, _ in self.swarm.landed.values()]
        return frozenset(one.peer_id for one in landed if isinstance(one, Winners) and one.round == number)

    async def rewarded(self, number: int, stage: int) -> frozenset[str]:
        """See `Chain.rewarded`."""
        landed = [one for one, _ in self.swarm.landed.values() if isinstance(one, Reward)]
        return frozenset(one.peer_id for one in landed if (one.round, one.stage) == (number, stage))

    async def holds(self, submissions: Sequence[Submission]) -> list[bool]:
        """See `Chain.holds`."""
        return [one.key in self.swarm.landed and self._owner(one.peer_id) == "us" for one in submissions]

    async def find(self, submissions: Sequence[Submission]) -> list[Landed]:
        """See `Chain.find`."""
        return [self.swarm.landed[one.key][1] for one in submissions]

    async def history(self, since: Place | None, blocks: int) -> Chapter | None:
        """See `Chain.history`."""
        hashes, swarm = self.ledger.state.blocks, self.swarm
        if since is not None and hashes[since.block : since.block + 1] != [since.hash]:
            return None
        first = since.block + 1 if since else 0
        last = min(len(hashes) - 1, first + blocks - 1)
        found = [
            Recorded(
                submission=one,
                account=swarm.owners[one.peer_id],
                transaction=where.transaction or "",
                block=where.block,
            )
            for one, where in swarm.landed.values()
            if where.block is not None and first <= where.block <= last
        ]
        return Chapter(tuple(found), 0, Place(last, hashes[last]), complete=last == len(hashes) - 1)

    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """See `Chain.submit`."""
        # Like the real one: all are tried on the state before the batch, only those that would pass are sent.
        refused = {place: error for place, one in enumerate(submissions) if (error := self._error(one))}
        found: dict[int, Landed | Reverted] = {place: Reverted(error) for place, error in refused.items()}
        for parcel in parcels(submissions, [place for place in range(len(submissions)) if place not in found], MOST):
            landed = self._see()
            for place in parcel.places:
                self._land(submissions[place], landed)
            found |= dict.fromkeys(parcel.places, landed)
        return [found[place] for place in range(len(submissions))]

    async def set_stages(self, count: int) -> None:
        """See `Chain.set_stages`."""
        if not await self.may_advance():
            raise ChainError("this account may not set the stages (OnlyOwner)", "set no ROUND_STAGES")
        self.swarm.stages = count
        self._see()

    async def set_bootnodes(self, addresses: Sequence[str]) -> None:
        """See `Chain.set_bootnodes`."""
        if not await self.may_advance():
            raise ChainError("this account may not set the bootnodes (OnlyBootnodeManager)", "ask an owner")
        self.ledger.mine()
        self.swarm.bootnodes = list(addresses)

    async def set_clock(self, stage_s: int) -> None:
        """See `Chain.set_clock`."""
        if not await self.owned_by(self._account):
            raise ChainError("this account may not set the clock of rounds (OnlyOwner)", "ask an owner")
        if not self.swarm.stage_s:
            self.swarm.began = time.time()
        self.swarm.stage_s = stage_s
        self._see()

    async def advance(self) -> None:
        """See `Chain.advance`."""
        if not await self.may_advance():
            raise ChainError("this account may not advance rounds (OnlyStageManager)", "set LEAD_ROUNDS=no")
        self._go_on()

    async def advance_if_due(self) -> bool:
        """See `Chain.advance_if_due`."""
        due = self.swarm.stage_s > 0 and time.time() >= self.swarm.began + self.swarm.stage_s
        if due:
            self._go_on()
        return due

    def _go_on(self) -> None:
        swarm = self.swarm
        swarm.round, swarm.stage = following(swarm.round, swarm.stage, swarm.stages)
        swarm.began = time.time()
        self._see()

    def _land(self, submission: Submission, landed: Landed) -> None:
        if isinstance(submission, Registration):
            self.swarm.owners[submission.peer_id] = self._account
        self.swarm.landed[submission.key] = (submission, landed)

    def _see(self) -> Landed:
        landed = self.ledger.mine()
        self._known = (len(self.ledger.state.blocks) - 1, self.ledger.state.blocks[-1])
        return landed

    def _owner(self, peer: str) -> Owner:
        account = self.swarm.owners.get(peer)
        return "nobody" if account is None else "us" if account == self._account else "stranger"

    def _error(self, submission: Submission) -> str:
        swarm, owner = self.swarm, self._owner(submission.peer_id)
        there = submission.key in swarm.landed
        error = refusal(submission, Standing(swarm.round, swarm.stage, swarm.stages, owner, there))
        if error or not swarm.proof_required or not isinstance(submission, Registration):
            return error
        return "" if proved(submission, self._contract or "", self._account) else "ProofRequired"
