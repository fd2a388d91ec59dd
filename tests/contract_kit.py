"""How the tests of the contracts ask, act, and read what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

ARTIFACTS = Path(__file__).parents[1] / "contracts" / "artifacts"
PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
OTHER = "QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ"
NOBODY = "0x" + "00" * 20
REWARD = "submitReward(uint256,uint256,int256,string)"
UNSIGNED_REWARD = "submitReward(uint256,uint256,uint256,string)"
HAS_REWARD_PEER = "hasSubmittedRoundStageReward(uint256,uint256,string)"
HAS_REWARD_ACCOUNT = "hasSubmittedRoundStageReward(uint256,uint256,address)"

# Of a game of the market.
RIGHT, WRONG = 2, 0
SALT = b"s" * 32


def call(swarm: Deployed, name: str, *arguments: Any) -> ContractFunction:
    """Return a call of a function given by its name, or of one of its overloads given by its signature."""
    if "(" not in name:
        return swarm.contract.get_function_by_name(name)(*arguments)
    entry = swarm.contract.get_function_by_signature(name).abi
    # Alone in its ABI: web3 tries arguments on every overload, and fails on text where another has an address.
    alone = swarm.web3.eth.contract(address=swarm.contract.address, abi=[entry])
    return alone.get_function_by_name(entry["name"])(*arguments)


def ask(swarm: Deployed, name: str, *arguments: Any) -> Any:
    return call(swarm, name, *arguments).call()


def do(swarm: Deployed, account: LocalAccount, name: str, *arguments: Any) -> TxReceipt:
    return swarm.do(account, call(swarm, name, *arguments))


def refusal(swarm: Deployed, account: LocalAccount, name: str, *arguments: Any) -> str | None:
    return swarm.refusal(account, call(swarm, name, *arguments))


def events(swarm: Deployed, receipt: TxReceipt) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a receipt, in order, as (name, arguments)."""
    known = {str(event().topic): event() for event in swarm.contract.events}
    found = [(log, known[Web3.to_hex(log["topics"][0])]) for log in receipt["logs"]]
    return [(event.event_name, dict(event.process_log(log)["args"])) for log, event in found]


def role(swarm: Deployed, name: str) -> bytes:
    return bytes(ask(swarm, name))


def registered(swarm: Deployed, *peers: str) -> LocalAccount:
    """Return a new account without funds that owns these peers."""
    account: LocalAccount = Account.create()
    for peer in peers:
        do(swarm, account, "registerPeer", peer)
    return account


def advance(swarm: Deployed, rounds: int = 1) -> None:
    for _ in range(rounds):
        do(swarm, swarm.owner, "updateStageAndRound")


def wait(swarm: Deployed, seconds: int) -> None:
    """Let time pass on the chain."""
    for method, arguments in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
        assert "error" not in swarm.web3.provider.make_request(method, arguments)


def now(swarm: Deployed) -> int:
    """The time of the newest block, unix seconds."""
    return int(swarm.web3.eth.get_block("latest")["timestamp"])


def selector(error: str) -> bytes:
    """The selector of an error without arguments."""
    return bytes(Web3.keccak(text=f"{error}()")[:4])


def commitment(answer: int = RIGHT, salt: bytes = SALT) -> bytes:
    """What stands for a game's answer until it is revealed."""
    return bytes(Web3.keccak(encode(["uint256", "bytes32"], [answer, salt])))


def abi_of(name: str) -> list[dict[str, Any]]:
    """The ABI of a compiled contract."""
    return list(json.loads((ARTIFACTS / f"{name}.json").read_text())["abi"])
