"""A swarm that was founded on the contract as it was before it had rules goes on under the contract as it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from tests.contract_kit import (
    HAS_REWARD_ACCOUNT,
    HAS_REWARD_PEER,
    NOBODY,
    OTHER,
    PEER,
    REWARD,
    advance,
    ask,
    do,
    events,
    refusal,
    registered,
    role,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

BEFORE = Path(__file__).parent / "before"


@pytest.fixture
def old(deployed: Deployed) -> Deployed:
    """A swarm behind a proxy, on the contract as it was."""
    implementation = deployed.create("SwarmCoordinator", folder=BEFORE)
    first = implementation.encode_abi("initialize", [deployed.owner.address])
    proxy = deployed.create("ERC1967Proxy", implementation.address, first)
    return deployed.at(deployed.web3.eth.contract(address=proxy.address, abi=implementation.abi))


def upgraded(old: Deployed) -> Deployed:
    """The same swarm on the contract as it is."""
    new = old.create("SwarmCoordinator")
    do(old, old.owner, "upgradeToAndCall", new.address, b"")
    return old.at(old.web3.eth.contract(address=old.address, abi=new.abi))


def test_an_upgrade_keeps_all_that_was_there(old: Deployed) -> None:
    account = registered(old, PEER, OTHER)
    do(old, old.owner, "setStageCount", 2)
    do(old, old.owner, "addBootnodes", ["a", "b"])
    advance(old, rounds=3)
    do(old, account, REWARD, 0, 1, -7, PEER)
    do(old, account, REWARD, 1, 0, 5, PEER)
    do(old, account, REWARD, 1, 0, 4, OTHER)
    do(old, account, "submitWinners", 0, ["c", OTHER], PEER)
    do(old, account, "submitWinners", 1, [OTHER], PEER)
    do(old, account, "submitWinners", 1, [], OTHER)
    questions = [
        ("stageCount",),
        ("currentRound",),
        ("currentStage",),
        ("getBootnodes",),
        ("getBootnodesCount",),
        ("getPeerId", [account.address]),
        ("getEoa", [PEER, OTHER, "c"]),
        ("getTotalRewards", [PEER, OTHER]),
        ("getRoundStageReward", 1, 0, [account.address]),
        ("getRoundStageReward", 0, 1, [account.address]),
        (HAS_REWARD_PEER, 0, 1, PEER),
        (HAS_REWARD_PEER, 0, 0, PEER),
        (HAS_REWARD_ACCOUNT, 0, 1, account.address),
        ("getVoterVotes", 0, PEER),
        ("getVoterVoteCount", PEER),
        ("getTotalWins", OTHER),
        ("getPeerVoteCount", 1, OTHER),
        ("uniqueVoters",),
        ("uniqueVotedPeers",),
        ("winnerLeaderboard", 0, 9),
        ("voterLeaderboard", 0, 9),
    ]
    before = [ask(old, *question) for question in questions]
    new = upgraded(old)
    assert [ask(new, *question) for question in questions] == before
    assert before[1:3] == [1, 1]
    assert ask(new, "hasRole", role(new, "OWNER_ROLE"), new.owner.address)
    assert refusal(new, new.owner, "initialize", NOBODY) == "InvalidInitialization"


def test_an_upgraded_swarm_goes_on_where_it_was(old: Deployed) -> None:
    account = registered(old, PEER)
    do(old, account, REWARD, 0, 0, 5, PEER)
    do(old, account, "submitWinners", 0, ["a"], PEER)
    new = upgraded(old)
    assert refusal(new, account, REWARD, 0, 0, 5, PEER) == "RewardAlreadySubmitted"
    assert refusal(new, account, "submitWinners", 0, ["a"], PEER) == "WinnerAlreadyVoted"
    advance(new)
    do(new, account, "submitRewards", [(0, 0, 5, PEER), (1, 0, 6, PEER)])
    do(new, account, "submitWinners", 1, ["b", "a"], PEER)
    assert ask(new, "getTotalRewards", [PEER]) == [11]
    assert ask(new, "winnerLeaderboard", 0, 9) == [["a", "b"], [2, 1]]


def test_rules_are_off_in_an_upgraded_swarm_until_an_owner_sets_them(old: Deployed) -> None:
    new = upgraded(old)
    assert ask(new, "rules") == (False, False, False, 0, 0, 0)
    do(new, new.owner, "setRules", (True, False, False, 3, 60, 1000))
    assert ask(new, "rules") == (True, False, False, 3, 60, 1000)
    assert ask(new, "currentRound") == 0


def test_owners_from_before_the_upgrade_cannot_lock_everybody_out_either(old: Deployed) -> None:
    first, second, third = old.owner, Account.create(), Account.create()
    mine = role(old, "OWNER_ROLE")
    do(old, first, "grantRole", mine, second.address)
    new = upgraded(old)
    # They were not counted: neither knows of the other, so neither may leave by itself, but may be sent away.
    assert refusal(new, first, "revokeRole", mine, first.address) == "LastOwner"
    receipt = do(new, first, "revokeRole", mine, second.address)
    assert [name for name, _ in events(new, receipt)] == ["RoleRevoked"]
    assert refusal(new, first, "revokeRole", mine, first.address) == "LastOwner"
    heirs: list[LocalAccount] = [second, third]
    for heir in heirs:
        do(new, first, "grantRole", mine, heir.address)
    do(new, first, "revokeRole", mine, first.address)
    do(new, second, "revokeRole", mine, third.address)
    assert refusal(new, second, "revokeRole", mine, second.address) == "LastOwner"
