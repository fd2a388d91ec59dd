"""The swarm's PredictionMarket (contracts/src) on a chain: calls, and transactions of our account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address

from services.coordinator.abi import Interface, artifact, constructor
from services.coordinator.belief import believed
from services.coordinator.calls import Call
from services.coordinator.chain import ChainDown, ChainError, ContractMissing, Landed, Reverted
from services.coordinator.rpc import Request, Rpc, RpcError
from services.coordinator.sender import Sender, Transaction
from shared.market import Table

STATES = ("open", "closed", "answered", "refunded")
NAME = "PredictionMarket"


@dataclass(frozen=True)
class Paid(Landed):
    """A claim is on the chain."""

    tokens: int


class MarketContract:
    """One account's view of one market. Every call raises ChainError when the chain cannot be used now."""

    def __init__(self, rpc: Rpc, sender: Sender, account: str, artifacts: Path) -> None:
        self._rpc, self._sender, self.account, self._artifacts = rpc, sender, account, artifacts
        self._interface = Interface(artifact(artifacts, NAME)[0])
        self._swarm = Interface(artifact(artifacts, "SwarmCoordinator")[0])
        self.address = ""  # none yet

    def nonsense(self, error: Exception) -> ChainDown:
        """What to raise when the node's answer cannot be what it should be."""
        return self._rpc.nonsense(error)

    def use(self, address: str) -> None:
        """Talk to this market from now on."""
        self.address = to_checksum_address(address)

    @believed
    async def deploy(self, swarm: str) -> str:
        """Put a market of the swarm with this SwarmCoordinator on the chain, and use it; its address."""
        abi, code = artifact(self._artifacts, NAME)
        data = code + constructor(abi, swarm)
        (gas,) = await self._rpc.sure([("eth_estimateGas", [{"from": self.account, "data": data}])])
        (receipt,) = await self._sender.send([Transaction(None, data, int(gas, 16))])
        if int(receipt["status"], 16) != 1:
            raise ChainError("the prediction market could not be deployed", "see the log of the chain's node")
        self.use(str(receipt["contractAddress"]))
        return self.address

    @believed
    async def ask(self, *calls: Call) -> list[Any]:
        """The answer of each call. Raises ContractMissing where there is no market."""
        asked: list[Request] = [
            ("eth_call", [{"to": self.address, "data": self._encode(call)}, "latest"]) for call in calls
        ]
        found = await self._rpc.sure(asked)
        if "0x" in found:
            raise ContractMissing(f"there is no prediction market at {self.address} on this chain", "see PRG_CONTRACT")
        return [self._interface.answer(call.signature, data) for call, data in zip(calls, found, strict=True)]

    @believed
    async def send(self, calls: Sequence[Call]) -> list[Landed | Reverted]:
        """Send each in a transaction of its own, in this order, and wait until all are settled."""
        return await self._send(self.address, [self._encode(call) for call in calls])

    @believed
    async def manage(self, swarm: str) -> None:
        """Make us the market's manager on its SwarmCoordinator, unless we are. Raises ChainError if we may not."""
        (role,) = await self.ask(Call("MARKET_MANAGER_ROLE()", ()))
        data = self._swarm.call("hasRole(bytes32,address)", (role, self.account))
        (has,) = await self._rpc.sure([("eth_call", [{"to": swarm, "data": data}, "latest"])])
        if not int(has, 16):
            (result,) = await self._send(swarm, [self._swarm.call("grantRole(bytes32,address)", (role, self.account))])
            if isinstance(result, Reverted):
                raise ChainError(f"this account may not deal games ({result.error})", "grant OWNER_ROLE to it")

    async def _send(self, address: str, data: Sequence[str]) -> list[Landed | Reverted]:
        asked: list[Request] = [
            ("eth_estimateGas", [{"from": self.account, "to": address, "data": one}]) for one in data
        ]
        results: list[Landed | Reverted] = [Reverted("")] * len(data)
        going: list[tuple[int, Transaction]] = []
        for index, answer in enumerate(await self._rpc.ask(asked)):
            if isinstance(answer, RpcError):
                results[index] = self._reverted(answer)
            else:
                going.append((index, Transaction(address, data[index], int(answer, 16))))
        receipts = await self._sender.send([transaction for _, transaction in going])
        for (index, _), receipt in zip(going, receipts, strict=True):
            if int(receipt["status"], 16) == 1:
                results[index] = self._landed(receipt)
        return results

    async def count(self) -> int:
        """How many games there were."""
        (found,) = await self.ask(Call("gameCount()", ()))
        return int(found)

    async def tables(self, games: Sequence[int]) -> list[Table]:
        """These games, without their bets."""
        answers = await self.ask(*(Call("getGame(uint256)", (game,)) for game in games))
        return [_table(game, answer) for game, answer in zip(games, answers, strict=True)]

    async def with_bets(self, table: Table) -> Table:
        """A game with what is bet on each choice."""
        asked = [Call("getBetsOn(uint256,uint256)", (table.game, choice)) for choice in range(table.choices)]
        found = await self.ask(*asked)
        bets, weights = zip(*found, strict=True)
        return table.model_copy(update={"bets": bets, "weights": weights})

    async def balances(self, peers: Sequence[str]) -> dict[str, int]:
        """The tokens of our account's peers."""
        asked = [Call("betTokenBalance(address,string)", (self.account, peer)) for peer in peers]
        return dict(zip(peers, await self.ask(*asked), strict=True))

    def _encode(self, call: Call) -> str:
        return self._interface.call(call.signature, call.arguments)

    def _reverted(self, answer: RpcError) -> Reverted:
        name = self._interface.error(answer.body)
        if name is None:
            raise ChainError(f"the chain's node refuses our call: {answer.message}", "it is tried again by itself")
        return Reverted(name)

    def _landed(self, receipt: dict[str, Any]) -> Landed:
        """Raises ContractMissing: a transaction to an address without code succeeds too, and leaves no event."""
        if not receipt["logs"]:
            raise ContractMissing(f"a transaction to {self.address} left no event", "see PRG_CONTRACT")
        where = (str(receipt["transactionHash"]), int(receipt["blockNumber"], 16))
        topic = self._interface.topic("RewardClaimed")
        for log in receipt["logs"]:
            if log["topics"][0] == topic:
                return Paid(*where, tokens=int(self._interface.fields("RewardClaimed", log)["tokens"]))
        return Landed(*where)


def _table(game: int, answer: tuple[Any, ...]) -> Table:
    state, choices, clues, shown, right, reveal_by, commitment, *_ = answer
    name = STATES[state]
    return Table(
        game=game,
        state=name,
        choices=choices,
        clues=clues,
        shown=shown,
        answer=right if name == "answered" else None,
        reveal_by=reveal_by,
        commitment="0x" + commitment.hex(),
    )
