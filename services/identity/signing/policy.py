"""What this household's key may sign, pure: calls of the swarm's contract that a node makes, and its deployment.

    a call        of an allowed function, to a contract of the swarm, no coin sent along; an owner's call by what it
                  says (owner.py)
    a deployment  of exactly our compiled contract, or of its proxy that points to one of ours and makes us its owner,
                  or of a prediction market of a contract of ours
    one role      that of the market's manager, to ourselves

Whoever steals the coordinator's token can therefore send rewards, votes and bets in our name, deal the games of our own
market, and make of an owner's calls those that an owner can take back: no coin, no other contract, no other role.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import BaseModel, ConfigDict, Field
from rlp import encode as rlp_encode

from services.identity.signing.owner import OWNER_CALLS, Heir, refusal
from shared.errors import SwarmError

FUNCTIONS = (
    "registerPeer(string)",
    "submitReward(uint256,uint256,int256,string)",
    "submitWinners(uint256,string[],string)",
    "submitRewards((uint256,uint256,int256,string)[])",
    "registerPeerWithProof(string,bytes,bytes)",
    "updateStageAndRound()",
    "advanceRoundIfDue()",
    "setStageCount(uint256)",
    "addBootnodes(string[])",
    "clearBootnodes()",
    "createGame(uint256,uint256,uint64,bytes32)",
    "revealClue(uint256,uint256)",
    "closeBets(uint256)",
    "revealAnswer(uint256,uint256,bytes32)",
    "setRoundTokens(uint64)",
    "guessAnswer(uint256,string,uint256,uint256,uint256)",
    "claimReward(uint256,string)",
)
GRANT_ROLE = "grantRole(bytes32,address)"
MARKET_MANAGER_ROLE = keccak(text="MARKET_MANAGER_ROLE")
INITIALIZE = keccak(text="initialize(address)")[:4]
MAX_GAS = 30_000_000
MAX_GAS_PRICE = 10**13  # wei; 10,000 gwei
MAX_CODE = 100_000  # bytes of a call's data, or of a contract
FORWARD = 256  # nonces a key that is used elsewhere, too, may be ahead of what is known here
EARLY = 64  # our first transactions: a contract made by one of them is ours, also if it was not signed here

_SELECTORS = {keccak(text=signature)[:4]: signature for signature in (*FUNCTIONS, *OWNER_CALLS)}


class Transaction(BaseModel):
    """What the coordinator wants signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")  # None: it makes a contract
    data: str = Field(pattern=r"^0x([0-9a-fA-F]{2})*$", max_length=2 + 2 * MAX_CODE)
    nonce: int = Field(ge=0, lt=2**63)
    gas: int = Field(ge=21_000, le=MAX_GAS)
    gas_price: int = Field(ge=0, le=MAX_GAS_PRICE)  # wei
    chain_id: int = Field(ge=1, lt=2**53)

    @property
    def code(self) -> bytes:
        """Its data."""
        return bytes.fromhex(self.data[2:])


@dataclass(frozen=True)
class Code:
    """The contracts that may be made."""

    implementation: bytes
    proxy: bytes
    market: bytes


@dataclass(frozen=True)
class Rules:
    """What holds for one account on one chain."""

    account: str
    chain_id: int
    contracts: frozenset[str]  # checksum addresses that may be called
    next_nonce: int | None  # one more than the highest that was signed; None: nothing was
    code: Code
    heir: Heir | None = None  # to whom the owner hands the swarm over now; None: to nobody


class Refused(Exception):
    """Not to be signed; says why."""


def check(transactions: Sequence[Transaction], rules: Rules) -> list[str]:
    """The name of what each does. Raises Refused, for all, at the first that may not be signed."""
    _check_nonces([one.nonce for one in transactions], rules.next_nonce)
    names, contracts = [], set(rules.contracts)
    for one in transactions:
        if one.chain_id != rules.chain_id:
            raise Refused(f"it is for chain {one.chain_id}, and this household's is {rules.chain_id}: see CHAIN_ID")
        if one.to is None:
            names.append(_deployment(one, rules, contracts))
            contracts.add(contract_address(rules.account, one.nonce))
        else:
            names.append(_call(one, to_checksum_address(one.to), contracts, rules))
    return names


def contract_address(account: str, nonce: int) -> str:
    """The address of the contract that a transaction makes (Ethereum yellow paper, section 7)."""
    return to_checksum_address(keccak(rlp_encode([bytes.fromhex(account[2:]), nonce]))[12:])


def is_early(account: str, contract: str) -> bool:
    """Whether the account's first transactions made this contract."""
    return any(contract_address(account, nonce) == contract for nonce in range(EARLY))


def load_code(folder: Path) -> Code:
    """The compiled contracts. Raises SwarmError."""
    try:
        found = [
            bytes.fromhex(json.loads((folder / f"{name}.json").read_text())["bytecode"].removeprefix("0x"))
            for name in ("SwarmCoordinator", "ERC1967Proxy", "PredictionMarket")
        ]
    except (OSError, ValueError, KeyError) as error:
        raise SwarmError(
            f"the compiled contracts cannot be read from {folder} ({type(error).__name__})",
            "set CONTRACT_ARTIFACTS to the folder contracts/artifacts",
        ) from error
    return Code(*found)


def _check_nonces(nonces: Sequence[int], next_nonce: int | None) -> None:
    if list(nonces) != list(range(nonces[0], nonces[0] + len(nonces))):
        raise Refused("the nonces do not follow each other")
    if next_nonce is not None and nonces[0] > next_nonce + FORWARD:
        raise Refused(f"nonce {nonces[0]} is far beyond the next one, {next_nonce}")


def _call(one: Transaction, to: str, contracts: set[str], rules: Rules) -> str:
    if to not in contracts:
        raise Refused(f"{to} is not this swarm's contract: see SWARM_CONTRACT")
    if one.code == _own_market_role(rules.account):
        return GRANT_ROLE
    if (name := _SELECTORS.get(one.code[:4])) is None:
        raise Refused(f"the function 0x{one.code[:4].hex()} is not one that a node calls")
    if name in OWNER_CALLS and (why := refusal(name, one.code[4:], rules.account, rules.heir)):
        raise Refused(why)
    return name


def _own_market_role(account: str) -> bytes:
    """The call that makes an account a manager of the market."""
    return keccak(text=GRANT_ROLE)[:4] + MARKET_MANAGER_ROLE + bytes.fromhex(account[2:]).rjust(32, b"\0")


def _is_market(code: bytes, rules: Rules, contracts: set[str]) -> bool:
    swarm = code[len(rules.code.market) :]
    shape = code.startswith(rules.code.market) and len(swarm) == 32 and not any(swarm[:12])
    return shape and to_checksum_address(swarm[12:]) in contracts


def _deployment(one: Transaction, rules: Rules, contracts: set[str]) -> str:
    if one.code == rules.code.implementation:
        return "deploy SwarmCoordinator"
    if _is_market(one.code, rules, contracts):
        return "deploy PredictionMarket"
    if not one.code.startswith(rules.code.proxy):
        raise Refused("the contract to be made is not one of this software")
    try:
        implementation, first = decode(["address", "bytes"], one.code[len(rules.code.proxy) :])
        (owner,) = decode(["address"], first[4:])
    except (DecodingError, ValueError) as error:
        raise Refused("the proxy's arguments cannot be read") from error
    ours = to_checksum_address(implementation) in contracts
    if not ours or first[:4] != INITIALIZE or to_checksum_address(owner) != to_checksum_address(rules.account):
        raise Refused("the proxy would not point to a contract of ours, owned by us")
    return "deploy ERC1967Proxy"
