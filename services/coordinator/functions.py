"""One contract's functions over JSON-RPC: asked, tried out, and looked for. Loaded only by web3_chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_utils.address import to_checksum_address

from services.coordinator.abi import Interface
from services.coordinator.calls import Call
from services.coordinator.chain import ChainError, ContractMissing, Reverted
from services.coordinator.rpc import Request, Rpc, RpcError


class Functions:
    """Those of the contract in use, as one account calls them. Every question raises ChainError."""

    def __init__(self, rpc: Rpc, interface: Interface, account: str) -> None:
        self.interface, self.account = interface, account
        self._rpc = rpc
        self._contract: str | None = None
        self._offered: dict[str, bool] = {}

    @property
    def contract(self) -> str | None:
        """The contract's address."""
        return self._contract

    @property
    def address(self) -> str:
        """The contract's address. Raises ContractMissing while there is none."""
        if self._contract is None:
            raise ContractMissing("no contract is chosen yet", "it is deployed when the chain answers")
        return self._contract

    def use(self, contract: str) -> None:
        """Another contract from now on."""
        self._contract = to_checksum_address(contract)
        self.forget()

    def forget(self) -> None:
        """The chain or the contract is another: what it offers is to be asked anew."""
        self._offered.clear()

    def encode(self, call: Call) -> str:
        """Input data of a call, 0x..."""
        return self.interface.call(call.signature, call.arguments)

    def question(self, call: Call) -> Request:
        """The request whose answer is what the call returns, and changes nothing."""
        return "eth_call", [{"from": self.account, "to": self.address, "data": self.encode(call)}, "latest"]

    def answer(self, signature: str, data: str) -> Any:
        """What a call returned. Raises ContractMissing where there is nothing to call."""
        if data == "0x":
            raise ContractMissing(
                f"there is no contract at {self._contract} on this chain",
                "see SWARM_CONTRACT and CHAIN_URL: the chain may have been begun anew",
            )
        return self.interface.answer(signature, data)

    async def ask(self, call: Call) -> Any:
        """What a call returns."""
        (data,) = await self._rpc.sure([self.question(call)])
        return self.answer(call.signature, data)

    async def try_out(self, calls: Sequence[Call]) -> list[Any | Reverted]:
        """What each call returns, or why it would be refused."""
        answers = await self._rpc.ask([self.question(call) for call in calls])
        return [
            self._reverted(answer) if isinstance(answer, RpcError) else self.answer(call.signature, answer)
            for call, answer in zip(calls, answers, strict=True)
        ]

    async def offers(self, harmless: Call) -> bool:
        """Whether the contract has a function, by a call of it that every contract that has it takes; asked once."""
        if harmless.signature not in self._offered:
            (answer,) = await self.try_out([harmless])
            self._offered[harmless.signature] = not isinstance(answer, Reverted)
        return self._offered[harmless.signature]

    async def estimates(self, data: Sequence[str]) -> list[int | Reverted]:
        """Gas of each call, or why it would revert: so no gas is paid for a refusal."""
        asked: list[Request] = [
            ("eth_estimateGas", [{"from": self.account, "to": self.address, "data": one}]) for one in data
        ]
        answers = await self._rpc.ask(asked)
        return [self._reverted(answer) if isinstance(answer, RpcError) else int(answer, 16) for answer in answers]

    def _reverted(self, answer: RpcError) -> Reverted:
        name = self.interface.error(answer.body)
        if name is None:
            raise ChainError(f"the chain's node refuses our call: {answer.message}", "it is tried again by itself")
        return Reverted(name)
