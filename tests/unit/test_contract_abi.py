"""The ABI that others were written for is in ours, to the last type."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract_kit import abi_of

FUNCTIONS = """
initialize(address)
OWNER_ROLE()->bytes32 view
STAGE_MANAGER_ROLE()->bytes32 view
BOOTNODE_MANAGER_ROLE()->bytes32 view
hasRole(bytes32,address)->bool view
grantRole(bytes32,address)
revokeRole(bytes32,address)
currentRound()->uint256 view
currentStage()->uint256 view
stageCount()->uint256 view
updateStageAndRound()->uint256,uint256
registerPeer(string)
getPeerId(address[])->string[][] view
getEoa(string[])->address[] view
addBootnodes(string[])
removeBootnode(uint256)
clearBootnodes()
getBootnodes()->string[] view
getBootnodesCount()->uint256 view
submitWinners(uint256,string[],string)
getVoterVotes(uint256,string)->string[] view
getVoterVoteCount(string)->uint256 view
getTotalWins(string)->uint256 view
getPeerVoteCount(uint256,string)->uint256 view
uniqueVoters()->uint256 view
uniqueVotedPeers()->uint256 view
winnerLeaderboard(uint256,uint256)->string[],uint256[] view
voterLeaderboard(uint256,uint256)->string[],uint256[] view
submitReward(uint256,uint256,int256,string)
submitReward(uint256,uint256,uint256,string)
getRoundStageReward(uint256,uint256,address[])->int256[] view
getTotalRewards(string[])->int256[] view
hasSubmittedRoundStageReward(uint256,uint256,string)->bool view
hasSubmittedRoundStageReward(uint256,uint256,address)->bool view
upgradeToAndCall(address,bytes) payable
"""

EVENTS = """
PeerRegistered(address indexed,string)
BootnodesAdded(address indexed,uint256)
BootnodeRemoved(address indexed,uint256)
AllBootnodesCleared(address indexed)
WinnerSubmitted(address indexed,string,uint256 indexed,string[])
RewardSubmitted(address indexed,uint256 indexed,uint256 indexed,int256,string)
CumulativeRewardsUpdated(address indexed,string,int256)
StageAdvanced(uint256 indexed,uint256)
RoundAdvanced(uint256 indexed)
RoleGranted(bytes32 indexed,address indexed,address indexed)
RoleRevoked(bytes32 indexed,address indexed,address indexed)
"""

ERRORS = """
OnlyOwner OnlyStageManager OnlyBootnodeManager InvalidBootnodeIndex PeerIdAlreadyRegistered InvalidVoterPeerId
InvalidVote InvalidRoundNumber InvalidStageNumber WinnerAlreadyVoted RewardAlreadySubmitted
"""


def line(entry: dict[str, Any]) -> str:
    """One entry of an ABI in the form of the lists above."""
    inputs = ",".join(part["type"] + " indexed" * part.get("indexed", False) for part in entry["inputs"])
    outputs = ",".join(part["type"] for part in entry.get("outputs", []))
    mutability = entry.get("stateMutability", "nonpayable")
    words = "" if mutability == "nonpayable" else f" {mutability.replace('pure', 'view')}"
    return f"{entry['name']}({inputs})" + (f"->{outputs}" if outputs else "") + words


def lines(name: str, kind: str) -> set[str]:
    """All entries of one kind."""
    return {line(entry) for entry in abi_of(name) if entry["type"] == kind}


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("function", FUNCTIONS.strip().splitlines()),
        ("event", EVENTS.strip().splitlines()),
        ("error", [f"{name}()" for name in ERRORS.split()]),
    ],
)
def test_everything_that_is_known_of_the_contract_is_there_in_exactly_this_form(kind: str, known: list[str]) -> None:
    assert set(known) - lines("SwarmCoordinator", kind) == set()


def test_the_contract_is_deployed_without_arguments() -> None:
    assert not [entry for entry in abi_of("SwarmCoordinator") if entry["type"] == "constructor"]


def test_the_market_has_a_call_for_each_of_the_three_that_a_node_makes() -> None:
    assert {
        "betTokenBalance(address,string)->uint256 view",
        "guessAnswer(uint256,string,uint256,uint256,uint256)",
        "claimReward(uint256,string)->uint256",
    } <= lines("PredictionMarket", "function")
