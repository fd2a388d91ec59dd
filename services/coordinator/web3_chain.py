"""The real chain, over JSON-RPC. The only module that imports web3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from web3 import HTTPProvider

from services.coordinator.abi import Interface, address_word, artifact, constructor, word
from services.coordinator.belief import believed
from services.coordinator.calls import ADVANCE, EOA, STAGES, Call, call_of, question_of, trace_of
from services.coordinator.chain import (
    ChainDown,
    ChainError,
    Chapter,
    ContractMissing,
    Head,
    Landed,
    Owner,
    Place,
    Reverted,
)
from services.coordinator.logs import BACK, Logs
from services.coordinator.market.contract import MarketContract
from services.coordinator.owned import OwnedContract, replace_bootnodes
from services.coordinator.rpc import Request, Rpc, RpcError
from services.coordinator.sender import Sender, Transaction
from services.coordinator.signer import NOBODY, Signer
from shared.messages import Registration, Submission

REQUEST_TIMEOUT_S = 10.0
REQUESTS = 50  # in one batch: public nodes refuse more than 100


class Web3Chain:
    """See `Chain`."""

    def __init__(self, url: str, signer: Signer, artifacts: Path, *, receipt_timeout_s: float = 60) -> None:
        provider = HTTPProvider(url, request_kwargs={"timeout": REQUEST_TIMEOUT_S}, exception_retry_configuration=None)
        self._artifacts = artifacts
        self._interface = Interface(artifact(artifacts, "SwarmCoordinator")[0])
        self._account = signer.address
        self._rpc = Rpc(provider, url, REQUESTS)
        self._sender = Sender(self._rpc, signer, receipt_timeout_s)
        self._contract: str | None = None
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
        return self._contract

    def nonsense(self, error: Exception) -> ChainDown:
        """What to raise when the node's answer cannot be what it should be."""
        return self._rpc.nonsense(error)

    def use(self, contract: str) -> None:
        """See `Chain.use`."""
        self._contract, self._known = to_checksum_address(contract), None
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
        return self._address

    @believed
    async def head(self) -> Head:
        """See `Chain.head`."""
        known = self._known
        asked: list[Request] = [("eth_chainId", [])]
        asked += [("eth_getBlockByNumber", [block, False]) for block in ("latest", hex(known[0] if known else 0))]
        signatures = ("currentRound()", "currentStage()", "stageCount()", "getBootnodes()")
        asked += [self._question(Call(signature, ())) for signature in signatures]
        chain_id, latest, again, *answers = await self._rpc.sure(asked)
        number, stage, stages, bootnodes = map(self._answer, signatures, answers)
        forgot = known is not None and (again or {}).get("hash") != known[1]
        if forgot:
            self._forget()
        self._head = int(latest["number"], 16)
        if forgot or self._known is None or self._head >= self._known[0]:
            self._known = (self._head, latest["hash"])
        return Head(int(chain_id, 16), self._head, number, stage, stages, tuple(bootnodes), forgot)

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
        return await self._logs.peers(self._address, "WinnerSubmitted", (number,), self._head)

    @believed
    async def rewarded(self, number: int, stage: int) -> frozenset[str]:
        """See `Chain.rewarded`."""
        return await self._logs.peers(self._address, "RewardSubmitted", (number, stage), self._head)

    @believed
    async def holds(self, submissions: Sequence[Submission]) -> list[bool]:
        """See `Chain.holds`."""
        calls = [question_of(submission) for submission in submissions]
        answers = await self._rpc.sure([self._question(call) for call in calls])
        owners = await self._owners_of([submission.peer_id for submission in submissions])
        found = [self._answer(call.signature, answer) for call, answer in zip(calls, answers, strict=True)]
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
        return await self._logs.history(self._address, since, blocks)

    @believed
    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """See `Chain.submit`."""
        data = [self._encode(call_of(submission)) for submission in submissions]
        settled: dict[int, Landed | Reverted] = {}
        going: list[tuple[int, Transaction]] = []
        for index, gas in enumerate(await self._estimates(data)):
            if isinstance(gas, Reverted):
                settled[index] = gas
            else:
                going.append((index, Transaction(self._address, data[index], gas)))
        receipts = await self._sender.send([transaction for _, transaction in going])
        for (index, transaction), receipt in zip(going, receipts, strict=True):
            settled[index] = await self._settled(submissions[index], transaction, receipt)
        return [settled[index] for index in range(len(submissions))]

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
    async def advance(self) -> None:
        """See `Chain.advance`."""
        remedy = f"grant STAGE_MANAGER_ROLE to {self._account}, or set LEAD_ROUNDS=no"
        await self.govern(Call(ADVANCE, ()), "StageAdvanced", "advance rounds", remedy)

    @property
    def owned(self) -> OwnedContract:
        """See `Chain.owned`."""
        return OwnedContract(self)

    async def ask(self, call: Call) -> Any:
        """See `Governed.ask`."""
        (data,) = await self._rpc.sure([self._question(call)])
        return self._answer(call.signature, data)

    async def govern(self, call: Call, event: str, what: str, remedy: str) -> str:
        """See `Governed.govern`. Raises ChainError where we lack the role."""
        data = self._encode(call)
        (gas,) = await self._estimates([data])
        if isinstance(gas, Reverted):
            raise ChainError(f"this account may not {what} ({gas.error})", remedy)
        (receipt,) = await self._sender.send([Transaction(self._address, data, gas)])
        if int(receipt["status"], 16) != 1:
            raise ChainError(f"this account could not {what}: the transaction failed", "try again")
        self._check(receipt, event)
        return str(receipt["transactionHash"])

    # ---- inside ----

    @property
    def _address(self) -> str:
        if self._contract is None:
            raise ContractMissing("no contract is chosen yet", "it is deployed when the chain answers")
        return self._contract

    def _forget(self) -> None:
        self._logs.forget()
        self._sender.forget()

    def _encode(self, call: Call) -> str:
        return self._interface.call(call.signature, call.arguments)

    def _question(self, call: Call) -> Request:
        return "eth_call", [{"to": self._address, "data": self._encode(call)}, "latest"]

    def _answer(self, signature: str, data: str) -> Any:
        if data == "0x":
            raise ContractMissing(
                f"there is no contract at {self._contract} on this chain",
                "see SWARM_CONTRACT and CHAIN_URL: the chain may have been begun anew",
            )
        return self._interface.answer(signature, data)

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

    async def _estimates(self, data: Sequence[str]) -> list[int | Reverted]:
        """Gas of each call, or why it would revert: so no gas is paid for a refusal."""
        asked: list[Request] = [
            ("eth_estimateGas", [{"from": self._account, "to": self._address, "data": one}]) for one in data
        ]
        answers = await self._rpc.ask(asked)
        return [self._reverted(answer) if isinstance(answer, RpcError) else int(answer, 16) for answer in answers]

    def _reverted(self, answer: RpcError) -> Reverted:
        name = self._interface.error(answer.body)
        if name is None:
            raise ChainError(f"the chain's node refuses our call: {answer.message}", "it is tried again by itself")
        return Reverted(name)

    async def _settled(
        self, submission: Submission, transaction: Transaction, receipt: dict[str, Any]
    ) -> Landed | Reverted:
        if int(receipt["status"], 16) == 1:
            self._check(receipt, trace_of(submission).event)
            return Landed(receipt["transactionHash"], int(receipt["blockNumber"], 16))
        # It was well when it was estimated. The receipt does not say why; a repetition does.
        (gas,) = await self._estimates([transaction.data])
        return gas if isinstance(gas, Reverted) else Reverted("")

    def _check(self, receipt: dict[str, Any], event: str) -> None:
        """A transaction to an address without code succeeds too, and leaves no event."""
        topic = self._interface.topic(event)
        if not any(log["topics"][0] == topic for log in receipt["logs"]):
            raise ContractMissing(f"a transaction to {self._contract} left no {event}", "see SWARM_CONTRACT")
        block = int(receipt["blockNumber"], 16)
        if self._known is None or block > self._known[0]:
            self._known = (block, receipt["blockHash"])

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
        for log in await self._logs.between(self._address, topics, max(0, last - BACK), last):
            if self._interface.fields(trace.event, log)["peerId"] == trace.peer:
                return Landed(log["transactionHash"], int(log["blockNumber"], 16))
        return Landed(None, None)
