"""The real chain, over JSON-RPC. The only module that imports web3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from web3 import HTTPProvider

from services.coordinator.abi import Interface, address_word, artifact, constructor, word
from services.coordinator.batches import MOST
from services.coordinator.belief import believed
from services.coordinator.calls import (
    ADVANCE,
    ADVANCE_IF_DUE,
    DUE,
    EOA,
    PROOF_REQUIRED,
    RULES,
    STAGE_SECONDS,
    STAGES,
    Call,
    question_of,
    trace_of,
)
from services.coordinator.chain import (
    ChainDown,
    ChainError,
    Chapter,
    Head,
    Landed,
    Owner,
    Place,
    Reverted,
)
from services.coordinator.functions import Functions
from services.coordinator.landing import Landing, Receipt
from services.coordinator.logs import BACK, Logs
from services.coordinator.market.contract import MarketContract
from services.coordinator.owned import OwnedContract, replace_bootnodes
from services.coordinator.rpc import Request, Rpc
from services.coordinator.sender import Sender, Transaction
from services.coordinator.signer import NOBODY, Signer
from shared.messages import Registration, Submission

REQUEST_TIMEOUT_S = 10.0
REQUESTS = 50  # in one batch: public nodes refuse more than 100


class Web3Chain:
    """See `Chain`. Where the contract takes batches, `most` rewards share a transaction."""

    def __init__(
        self, url: str, signer: Signer, artifacts: Path, *, receipt_timeout_s: float = 60, most: int = MOST
    ) -> None:
        provider = HTTPProvider(url, request_kwargs={"timeout": REQUEST_TIMEOUT_S}, exception_retry_configuration=None)
        self._artifacts = artifacts
        self._interface = Interface(artifact(artifacts, "SwarmCoordinator")[0])
        self._account = signer.address
        self._rpc = Rpc(provider, url, REQUESTS)
        self._sender = Sender(self._rpc, signer, receipt_timeout_s)
        self._functions = Functions(self._rpc, self._interface, self._account)
        self._landing = Landing(self._functions, self._sender, self._see, most)
        self._known: tuple[int, str] | None = None  # newest block seen, number and hash
        self._logs = Logs(self._rpc, self._interface)
        self._head = 0

    @property
    def account(self) -> str:
        """See `Chain.account`."""
        return self._account

    @property
    def contract(self) -> str | None:
        """See `Chain.contract`."""
        return self._functions.contract

    def nonsense(self, error: Exception) -> ChainDown:
        """What to raise when the node's answer cannot be what it should be."""
        return self._rpc.nonsense(error)

    def use(self, contract: str) -> None:
        """See `Chain.use`."""
        self._functions.use(contract)
        self._known = None
        self._forget()

    @believed
    async def deploy(self) -> str:
        """See `Chain.deploy`."""
        self._forget()
        implementation = await self._create(artifact(self._artifacts, "SwarmCoordinator")[1])
        # Initialized in the transaction that makes it: nobody can come first.
        first = self._interface.call("initialize(address)", [self._account])
        abi, code = artifact(self._artifacts, "ERC1967Proxy")
        proxy = await self._create(code + constructor(abi, implementation, first))
        self.use(proxy)
        return self._functions.address

    @believed
    async def head(self) -> Head:
        """See `Chain.head`."""
        known = self._known
        asked: list[Request] = [("eth_chainId", [])]
        asked += [("eth_getBlockByNumber", [block, False]) for block in ("latest", hex(known[0] if known else 0))]
        signatures = ["currentRound()", "currentStage()", "stageCount()", "getBootnodes()"]
        signatures += [DUE, RULES] if await self._functions.offers(Call(DUE, ())) else []
        asked += [self._functions.question(Call(signature, ())) for signature in signatures]
        chain_id, latest, again, *answers = await self._rpc.sure(asked)
        number, stage, stages, bootnodes, *clock = map(self._functions.answer, signatures, answers)
        forgot = known is not None and (again or {}).get("hash") != known[1]
        if forgot:
            self._forget()
        self._head = int(latest["number"], 16)
        if forgot or self._known is None or self._head >= self._known[0]:
            self._known = (self._head, latest["hash"])
        stage_s = int(clock[1][STAGE_SECONDS]) if clock else None
        due_at = float(clock[0]) if stage_s else None
        proof = bool(clock and clock[1][PROOF_REQUIRED])
        place = (number, stage, stages)
        return Head(int(chain_id, 16), self._head, *place, tuple(bootnodes), stage_s, due_at, forgot, proof)

    def market(self) -> MarketContract:
        """The prediction market by the same node and account, and with the same nonces."""
        return MarketContract(self._rpc, self._sender, self._account, self._artifacts)

    @believed
    async def may_advance(self) -> bool:
        """See `Chain.may_advance`."""
        return await self._has("STAGE_MANAGER_ROLE()", self._account)

    @believed
    async def owned_by(self, account: str) -> bool:
        """See `Chain.owned_by`."""
        return await self._has("OWNER_ROLE()", account)

    @believed
    async def owners(self, peers: Sequence[str]) -> list[Owner]:
        """See `Chain.owners`."""
        accounts = await self.ask(Call(EOA, (list(peers),))) if peers else []
        return [self._owner(account) for account in accounts]

    @believed
    async def voters(self, number: int) -> frozenset[str]:
        """See `Chain.voters`."""
        return await self._logs.peers(self._functions.address, "WinnerSubmitted", (number,), self._head)

    @believed
    async def rewarded(self, number: int, stage: int) -> frozenset[str]:
        """See `Chain.rewarded`."""
        return await self._logs.peers(self._functions.address, "RewardSubmitted", (number, stage), self._head)

    @believed
    async def holds(self, submissions: Sequence[Submission]) -> list[bool]:
        """See `Chain.holds`."""
        calls = [question_of(submission) for submission in submissions]
        answers = await self._rpc.sure([self._functions.question(call) for call in calls])
        owners = await self._owners_of([submission.peer_id for submission in submissions])
        found = [self._functions.answer(call.signature, answer) for call, answer in zip(calls, answers, strict=True)]
        return [
            owner == "us" and (isinstance(submission, Registration) or bool(answer))
            for submission, owner, answer in zip(submissions, owners, found, strict=True)
        ]

    @believed
    async def find(self, submissions: Sequence[Submission]) -> list[Landed]:
        """See `Chain.find`."""
        return [await self._find(submission) for submission in submissions]

    @believed
    async def history(self, since: Place | None, blocks: int) -> Chapter | None:
        """See `Chain.history`."""
        return await self._logs.history(self._functions.address, since, blocks)

    @believed
    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """See `Chain.submit`."""
        return await self._landing.submit(submissions)

    @believed
    async def set_stages(self, count: int) -> None:
        """See `Chain.set_stages`."""
        remedy = f"grant OWNER_ROLE to {self._account}, or leave ROUND_STAGES and GAME unset for the coordinator"
        call = Call(STAGES, (count,))
        await self.govern(call, "StageCountSet", "set the stages of rounds", remedy)

    @believed
    async def set_bootnodes(self, addresses: Sequence[str]) -> None:
        """See `Chain.set_bootnodes`."""
        await replace_bootnodes(self, addresses, f"grant BOOTNODE_MANAGER_ROLE to {self._account}")

    @believed
    async def set_clock(self, stage_s: int) -> None:
        """See `Chain.set_clock`."""
        await self.owned.set_rule(STAGE_SECONDS, stage_s, "set the clock of rounds")

    @believed
    async def advance(self) -> None:
        """See `Chain.advance`."""
        remedy = f"grant STAGE_MANAGER_ROLE to {self._account}, or set LEAD_ROUNDS=no"
        await self.govern(Call(ADVANCE, ()), "StageAdvanced", "advance rounds", remedy)

    @believed
    async def advance_if_due(self) -> bool:
        """See `Chain.advance_if_due`."""
        data = self._functions.encode(Call(ADVANCE_IF_DUE, ()))
        (gas,) = await self._functions.estimates([data])
        if isinstance(gas, Reverted):
            return False
        (receipt,) = await self._sender.send([Transaction(self._functions.address, data, gas)])
        if int(receipt["status"], 16) != 1:
            return False
        self._landing.check(receipt, "StageAdvanced")
        return True

    async def ask(self, call: Call) -> Any:
        """See `Governed.ask`."""
        return await self._functions.ask(call)

    async def govern(self, call: Call, event: str, what: str, remedy: str) -> str:
        """See `Governed.govern`. Raises ChainError where we lack the role."""
        data = self._functions.encode(call)
        (gas,) = await self._functions.estimates([data])
        if isinstance(gas, Reverted):
            raise ChainError(f"this account may not {what} ({gas.error})", remedy)
        (receipt,) = await self._sender.send([Transaction(self._functions.address, data, gas)])
        if int(receipt["status"], 16) != 1:
            raise ChainError(f"this account could not {what}: the transaction failed", "try again")
        self._landing.check(receipt, event)
        return str(receipt["transactionHash"])

    @property
    def owned(self) -> OwnedContract:
        """See `Chain.owned`."""
        return OwnedContract(self)

    # ---- inside ----

    def _forget(self) -> None:
        for one in (self._logs, self._sender, self._functions):
            one.forget()

    def _see(self, receipt: Receipt) -> None:
        block = int(receipt["blockNumber"], 16)
        if self._known is None or block > self._known[0]:
            self._known = (block, receipt["blockHash"])

    async def _has(self, role: str, account: str) -> bool:
        name = await self.ask(Call(role, ()))
        return bool(await self.ask(Call("hasRole(bytes32,address)", (name, account))))

    def _owner(self, account: str) -> Owner:
        if account == NOBODY:  # first: before there is an account of ours, it is NOBODY, too
            return "nobody"
        return "us" if account.lower() == self._account.lower() else "stranger"

    async def _owners_of(self, peers: Sequence[str]) -> list[Owner]:
        """Owners of peers of which many are the same."""
        distinct = list(dict.fromkeys(peers))
        found = dict(zip(distinct, await self.owners(distinct), strict=True))
        return [found[peer] for peer in peers]

    async def _create(self, code: str) -> str:
        (gas,) = await self._rpc.sure([("eth_estimateGas", [{"from": self._account, "data": code}])])
        (receipt,) = await self._sender.send([Transaction(None, code, int(gas, 16))])
        if int(receipt["status"], 16) != 1:
            raise ChainError("the contract could not be deployed", "see the log of the chain's node")
        return str(receipt["contractAddress"])

    async def _find(self, submission: Submission) -> Landed:
        trace = trace_of(submission)
        # Asked anew: beyond the chain's end a question for logs is an error.
        (latest,) = await self._rpc.sure([("eth_blockNumber", [])])
        last = int(latest, 16)
        topics = [self._interface.topic(trace.event), address_word(self._account), *map(word, trace.numbers)]
        for log in await self._logs.between(self._functions.address, topics, max(0, last - BACK), last):
            if self._interface.fields(trace.event, log)["peerId"] == trace.peer:
                return Landed(log["transactionHash"], int(log["blockNumber"], 16))
        return Landed(None, None)
