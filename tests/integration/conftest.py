"""A real chain for the integration tests: one anvil a session, and the contract deployed anew for each test."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError
from web3.types import TxReceipt

from services.chain.anvil import CHAIN_ID, anvil_command
from services.local.anvil import AnvilMissing, find_anvil
from tests.conftest import free_port
from tests.coordinator_kit import Node

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "contracts" / "artifacts"


@dataclass(frozen=True)
class Anvil:
    """A running chain: `process` is this test session's own child."""

    url: str
    port: int
    process: subprocess.Popen[bytes]


def _answers(url: str) -> bool:
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).encode()
    request = urllib.request.Request(url, question, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return int(json.load(answer)["result"], 16) == CHAIN_ID
    except OSError:
        return False


def _wait_until_up(chain: Anvil) -> None:
    deadline = time.monotonic() + 20
    while not _answers(chain.url):
        if chain.process.poll() is not None:
            raise RuntimeError(f"anvil ended with code {chain.process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError("anvil did not answer within 20 s")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def anvil_binary() -> Path:
    """Anvil's binary, fetched into the repository's cache if need be."""
    try:
        return find_anvil(ROOT / ".cache")
    except AnvilMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def start_anvil(anvil_binary: Path) -> Iterator[Callable[[Path], Anvil]]:
    """Start a chain on a state file as the local stack does; all are stopped when the session ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(state: Path) -> Anvil:
        port = free_port()
        process = subprocess.Popen(anvil_command(anvil_binary, host="127.0.0.1", port=port, state=state))
        started.append(process)
        chain = Anvil(f"http://127.0.0.1:{port}", port, process)
        _wait_until_up(chain)
        return chain

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def anvil(start_anvil: Callable[[Path], Anvil], tmp_path_factory: pytest.TempPathFactory) -> Anvil:
    """A chain that all tests of the session share."""
    return start_anvil(tmp_path_factory.mktemp("anvil") / "state.json")


@dataclass(frozen=True)
class Deployed:
    """A SwarmCoordinator on a chain and the account that owns it; no account here has any funds."""

    url: str
    web3: Web3
    contract: Contract
    owner: LocalAccount

    @property
    def address(self) -> str:
        """The contract's address."""
        return str(self.contract.address)

    def transact(self, account: LocalAccount, call: ContractFunction) -> TxReceipt:
        """Send a call as a transaction and return its receipt, of status 1 or 0."""
        return _send(self.web3, account, {"to": self.address, "data": call._encode_transaction_data()})

    def do(self, account: LocalAccount, call: ContractFunction) -> TxReceipt:
        """Send a call that must succeed."""
        receipt = self.transact(account, call)
        assert receipt["status"] == 1, f"{call.fn_name} reverted: {self.refusal(account, call)}"
        return receipt

    def refusal(self, account: LocalAccount, call: ContractFunction) -> str | None:
        """Return the name of the error that a call reverts with ("" for a bare revert), or None if it would not."""
        try:
            call.call({"from": account.address})
        except ContractLogicError as error:
            return _error_name(self.contract, str(error.data))
        return None

    def create(self, name: str, *arguments: Any, folder: Path = ARTIFACTS) -> Contract:
        """Deploy another contract, by the name of its artifact, on the same chain."""
        return _create(self.web3, self.owner, name, *arguments, folder=folder)

    def at(self, contract: Contract) -> Deployed:
        """The same chain and owner, and another contract to talk to."""
        return replace(self, contract=contract)


def _send(web3: Web3, account: LocalAccount, transaction: dict[str, Any]) -> TxReceipt:
    """Sign and send a transaction of an account without funds, and wait until it is mined."""
    nonce = web3.eth.get_transaction_count(account.address)
    filled = {"value": 0, "gas": 16_000_000, "gasPrice": 0, "chainId": CHAIN_ID, "nonce": nonce, **transaction}
    sent = web3.eth.send_raw_transaction(account.sign_transaction(filled).raw_transaction)
    return web3.eth.wait_for_transaction_receipt(sent, timeout=20, poll_latency=0.005)


def _create(web3: Web3, account: LocalAccount, name: str, *arguments: Any, folder: Path = ARTIFACTS) -> Contract:
    built = json.loads((folder / f"{name}.json").read_text())
    factory = web3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    receipt = _send(web3, account, {"data": factory.constructor(*arguments).data_in_transaction})
    assert receipt["status"] == 1
    return web3.eth.contract(address=receipt["contractAddress"], abi=built["abi"])


def _error_name(contract: Contract, data: str) -> str:
    """Return the name of the contract's error whose selector `data` begins with, or `data` itself."""
    for entry in contract.abi:
        if entry["type"] == "error":
            signature = f"{entry['name']}({','.join(part['type'] for part in entry.get('inputs', []))})"
            if data.startswith("0x" + Web3.keccak(text=signature)[:4].hex()):
                return str(entry["name"])
    return data.removeprefix("0x")


def implement(chain: Anvil) -> Contract:
    """Put the contract's code on a chain."""
    return _create(Web3(Web3.HTTPProvider(chain.url)), Account.create(), "SwarmCoordinator")


def deploy(chain: Anvil, implementation: Contract) -> Deployed:
    """Put a fresh contract behind its proxy on a chain, owned by a fresh account."""
    web3, owner = implementation.w3, Account.create()
    first_call = implementation.encode_abi("initialize", [owner.address])
    proxy = _create(web3, owner, "ERC1967Proxy", implementation.address, first_call)
    return Deployed(chain.url, web3, web3.eth.contract(address=proxy.address, abi=implementation.abi), owner)


@pytest.fixture(scope="session")
def implementation(anvil: Anvil) -> Contract:
    """The contract's code, to which every proxy points."""
    return implement(anvil)


@pytest.fixture
def deployed(anvil: Anvil, implementation: Contract) -> Deployed:
    """A fresh contract behind its proxy, owned by a fresh account."""
    return deploy(anvil, implementation)


@pytest.fixture
def node(tmp_path: Path, anvil_binary: Path) -> Iterator[Node]:
    """A chain of the test's own, that it may kill and start again."""
    node = Node(tmp_path / "chain")
    yield node
    node.kill()
