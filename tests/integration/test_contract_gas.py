"""What transactions cost is what contracts/gas.json says. `GAS=write` before pytest on this file writes it anew."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from eth_account import Account
from eth_account.signers.local import LocalAccount

from services.p2p.wire.keys import peer_id_of, public_message, sign
from tests.contract_kit import (
    ARTIFACTS,
    REWARD,
    RIGHT,
    SALT,
    WRONG,
    advance,
    ask,
    commitment,
    do,
    now,
    registered,
    role,
    wait,
)

if TYPE_CHECKING:
    from web3.contract import Contract

    from tests.integration.conftest import Deployed

SNAPSHOT = ARTIFACTS.parent / "gas.json"
TOLERANCE = 0.01  # keys, accounts and times differ in their zero bytes, which are cheaper

Costs = dict[str, int]


def peer(number: int) -> str:
    """A peer id as long as they are."""
    return f"Qm{number:044d}"


def spend(swarm: Deployed, account: LocalAccount, name: str, *arguments: Any) -> int:
    return int(do(swarm, account, name, *arguments)["gasUsed"])


def deployment(swarm: Deployed, contract: Contract) -> int:
    """What the newest transaction cost, which made this contract."""
    (transaction,) = swarm.web3.eth.get_block("latest")["transactions"]
    receipt = swarm.web3.eth.get_transaction_receipt(transaction)
    assert receipt["contractAddress"] == contract.address
    return int(receipt["gasUsed"])


def of_deployment(swarm: Deployed) -> Costs:
    new = swarm.create("SwarmCoordinator")
    costs = {"deploy SwarmCoordinator": deployment(swarm, new)}
    first = new.encode_abi("initialize", [swarm.owner.address])
    proxy = swarm.create("ERC1967Proxy", new.address, first)
    costs["deploy its proxy, initialize"] = deployment(swarm, proxy)
    costs["upgradeToAndCall"] = spend(swarm, swarm.owner, "upgradeToAndCall", new.address, b"")
    market = swarm.create("PredictionMarket", proxy.address)
    return costs | {"deploy PredictionMarket": deployment(swarm, market)}


def of_peers(swarm: Deployed) -> Costs:
    account: LocalAccount = Account.create()
    key = generate_private_key(65537, 2048)
    public, message = public_message(key), ask(swarm, "registrationMessage", account.address)
    proof = peer_id_of(public), public, sign(key, message)
    return {
        "registerPeer": spend(swarm, Account.create(), "registerPeer", peer(0)),
        "registerPeerWithProof": spend(swarm, account, "registerPeerWithProof", *proof),
    }


def of_rewards(swarm: Deployed) -> Costs:
    account = registered(swarm, peer(1), peer(2))
    advance(swarm, rounds=62)
    return {
        "submitReward, a peer's first": spend(swarm, account, REWARD, 0, 0, 1234, peer(1)),
        "submitReward, each later one": spend(swarm, account, REWARD, 1, 0, 1234, peer(1)),
        "submitReward, another peer of the account": _another(swarm, account),
        "submitRewards of 10": spend(swarm, account, "submitRewards", [(n, 0, 1234, peer(1)) for n in range(2, 12)]),
        "submitRewards of 50": spend(swarm, account, "submitRewards", [(n, 0, 1234, peer(1)) for n in range(12, 62)]),
        "submitRewards of 10, all there already": spend(
            swarm, account, "submitRewards", [(n, 0, 1234, peer(1)) for n in range(2, 12)]
        ),
    }


def _another(swarm: Deployed, account: LocalAccount) -> int:
    do(swarm, account, REWARD, 0, 0, 1234, peer(2))
    return spend(swarm, account, REWARD, 1, 0, 1234, peer(2))


def of_votes(swarm: Deployed) -> Costs:
    account = registered(swarm, peer(3))
    advance(swarm, rounds=6)
    votes = [[peer(n) for n in range(10, 10 + count)] for count in (1, 1, 10, 10, 64)]
    names = ("1 winner, its first", "1 winner", "10 winners, 9 new", "10 winners", "64 winners, 54 new")
    return {
        f"submitWinners, {name}": spend(swarm, account, "submitWinners", number, winners, peer(3))
        for number, (name, winners) in enumerate(zip(names, votes, strict=True))
    }


def of_owners(swarm: Deployed) -> Costs:
    owner, stranger = swarm.owner, Account.create()
    costs = {
        "updateStageAndRound": spend(swarm, owner, "updateStageAndRound"),
        "setRules": spend(swarm, owner, "setRules", (True, False, False, 10, 60, 1000)),
        "setListed, 1 account": spend(swarm, owner, "setListed", [stranger.address], True),
    }
    wait(swarm, 61)
    return costs | {"advanceRoundIfDue": spend(swarm, stranger, "advanceRoundIfDue")}


def of_games(swarm: Deployed) -> Costs:
    owner, ann, bob = swarm.owner, registered(swarm, "ann"), registered(swarm, "bob")
    market = swarm.at(swarm.create("PredictionMarket", swarm.address))
    do(swarm, owner, "grantRole", role(market, "MARKET_MANAGER_ROLE"), owner.address)
    costs = {"market: grantTokens, 2 peers": spend(market, owner, "grantTokens", ["ann", "bob"], 1000)}
    game = (4, 3, now(market) + 10_000, commitment())
    costs["market: createGame"] = spend(market, owner, "createGame", *game)
    costs["market: revealClue"] = spend(market, owner, "revealClue", 0, 0)
    costs["market: guessAnswer, a game's first"] = spend(market, ann, "guessAnswer", 0, "ann", 0, WRONG, 10)
    costs["market: guessAnswer"] = spend(market, bob, "guessAnswer", 0, "bob", 0, WRONG, 10)
    do(market, owner, "revealClue", 0, 1)
    do(market, ann, "guessAnswer", 0, "ann", 1, RIGHT, 10)
    costs["market: closeBets"] = spend(market, owner, "closeBets", 0)
    costs["market: revealAnswer"] = spend(market, owner, "revealAnswer", 0, RIGHT, SALT)
    return costs | {"market: claimReward": spend(market, ann, "claimReward", 0, "ann")}


@pytest.mark.parametrize("measure", [of_deployment, of_peers, of_rewards, of_votes, of_owners, of_games])
def test_every_transaction_costs_what_the_snapshot_says(deployed: Deployed, measure: Any) -> None:
    measured: Costs = measure(deployed)
    known: Costs = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    if os.environ.get("GAS") == "write":
        SNAPSHOT.write_text(json.dumps(known | measured, indent=2) + "\n")
        return
    assert measured == pytest.approx({name: known.get(name) for name in measured}, rel=TOLERANCE)


def test_a_vote_costs_the_same_however_many_peers_are_on_the_boards(deployed: Deployed) -> None:
    account = registered(deployed, peer(1))
    advance(deployed, rounds=9)
    costs = []
    for number in range(0, 8, 2):
        crowd = [f"peer {number} {n}" for n in range(60)]
        do(deployed, account, "submitWinners", number, crowd, peer(1))
        costs.append(spend(deployed, account, "submitWinners", number + 1, ["the one"], peer(1)))
    assert ask(deployed, "uniqueVotedPeers") == 4 * 60 + 1
    assert max(costs[1:]) - min(costs[1:]) < 20_000  # a score that nobody had before is one more number to store
    assert max(costs[1:]) < costs[0]
