"""SwarmCoordinator on a real chain, each rule as a fact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from tests.contract_kit import (
    HAS_REWARD_ACCOUNT,
    HAS_REWARD_PEER,
    NOBODY,
    OTHER,
    PEER,
    REWARD,
    UNSIGNED_REWARD,
    advance,
    ask,
    call,
    do,
    events,
    refusal,
    registered,
    role,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed


# ---- deployment and upgrades ----


def test_code_fits_on_any_chain(deployed: Deployed) -> None:
    for contract in (deployed.create("SwarmCoordinator"), deployed.create("PredictionMarket", deployed.address)):
        assert 0 < len(deployed.web3.eth.get_code(contract.address)) <= 24_576


def test_an_account_without_funds_can_transact(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    assert deployed.web3.eth.get_balance(account.address) == 0
    assert deployed.web3.eth.gas_price == 0


def test_initialize_works_once_on_the_bare_contract(deployed: Deployed) -> None:
    owner: LocalAccount = Account.create()
    bare = replace(deployed, contract=deployed.create("SwarmCoordinator"), owner=owner)
    receipt = do(bare, owner, "initialize", owner.address)
    granted = [arguments["role"] for name, arguments in events(bare, receipt) if name == "RoleGranted"]
    assert granted == [role(bare, name) for name in ("OWNER_ROLE", "STAGE_MANAGER_ROLE", "BOOTNODE_MANAGER_ROLE")]
    assert ask(bare, "stageCount") == 1
    assert refusal(bare, owner, "initialize", owner.address) == "InvalidInitialization"
    advance(bare)
    assert ask(bare, "currentRound") == 1


def test_initialize_works_once_through_the_proxy(deployed: Deployed) -> None:
    assert ask(deployed, "hasRole", role(deployed, "OWNER_ROLE"), deployed.owner.address)
    assert refusal(deployed, deployed.owner, "initialize", deployed.owner.address) == "InvalidInitialization"


def test_only_an_owner_upgrades_and_the_state_stays(deployed: Deployed) -> None:
    registered(deployed, PEER)
    advance(deployed)
    newer = deployed.create("SwarmCoordinator").address
    assert refusal(deployed, Account.create(), "upgradeToAndCall", newer, b"") == "OnlyOwner"
    receipt = do(deployed, deployed.owner, "upgradeToAndCall", newer, b"")
    assert events(deployed, receipt) == [("Upgraded", {"implementation": newer})]
    assert ask(deployed, "currentRound") == 1
    assert ask(deployed, "getEoa", [PEER]) != [NOBODY]


def test_a_bare_contract_cannot_be_upgraded(deployed: Deployed) -> None:
    contract = deployed.create("SwarmCoordinator")
    bare = replace(deployed, contract=contract)
    do(bare, bare.owner, "initialize", bare.owner.address)
    assert refusal(bare, bare.owner, "upgradeToAndCall", contract.address, b"") == "UUPSUnauthorizedCallContext"


def test_an_upgrade_to_something_else_is_refused(deployed: Deployed) -> None:
    proxy, account = deployed.address, deployed.owner.address
    assert refusal(deployed, deployed.owner, "upgradeToAndCall", proxy, b"") == "ERC1967InvalidImplementation"
    assert refusal(deployed, deployed.owner, "upgradeToAndCall", account, b"") == ""


# ---- roles ----


def test_role_names_are_hashes_of_their_text(deployed: Deployed) -> None:
    for name in ("OWNER_ROLE", "STAGE_MANAGER_ROLE", "BOOTNODE_MANAGER_ROLE"):
        assert role(deployed, name) == bytes(Web3.keccak(text=name))


def test_an_owner_grants_and_revokes_roles(deployed: Deployed) -> None:
    account: LocalAccount = Account.create()
    stage_manager = role(deployed, "STAGE_MANAGER_ROLE")
    arguments = {"role": stage_manager, "account": account.address, "sender": deployed.owner.address}
    granted = do(deployed, deployed.owner, "grantRole", stage_manager, account.address)
    assert events(deployed, granted) == [("RoleGranted", arguments)]
    assert ask(deployed, "hasRole", stage_manager, account.address)
    do(deployed, account, "updateStageAndRound")
    revoked = do(deployed, deployed.owner, "revokeRole", stage_manager, account.address)
    assert events(deployed, revoked) == [("RoleRevoked", arguments)]
    assert refusal(deployed, account, "updateStageAndRound") == "OnlyStageManager"


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("grantRole", (b"\1" * 32, NOBODY), "OnlyOwner"),
        ("revokeRole", (b"\1" * 32, NOBODY), "OnlyOwner"),
        ("setStageCount", (3,), "OnlyOwner"),
        ("updateStageAndRound", (), "OnlyStageManager"),
        ("addBootnodes", (["a"],), "OnlyBootnodeManager"),
        ("removeBootnode", (0,), "OnlyBootnodeManager"),
        ("clearBootnodes", (), "OnlyBootnodeManager"),
    ],
)
def test_a_stranger_is_refused(deployed: Deployed, name: str, arguments: tuple[Any, ...], error: str) -> None:
    stranger: LocalAccount = Account.create()
    assert refusal(deployed, stranger, name, *arguments) == error
    assert deployed.transact(stranger, call(deployed, name, *arguments))["status"] == 0


def test_each_manager_has_only_its_own_role(deployed: Deployed) -> None:
    manager: LocalAccount = Account.create()
    do(deployed, deployed.owner, "grantRole", role(deployed, "BOOTNODE_MANAGER_ROLE"), manager.address)
    do(deployed, manager, "addBootnodes", ["a"])
    assert refusal(deployed, manager, "updateStageAndRound") == "OnlyStageManager"
    assert refusal(deployed, manager, "grantRole", b"\1" * 32, NOBODY) == "OnlyOwner"


# ---- rounds ----


def test_one_stage_a_round_is_the_default(deployed: Deployed) -> None:
    assert [ask(deployed, name) for name in ("stageCount", "currentRound", "currentStage")] == [1, 0, 0]
    assert call(deployed, "updateStageAndRound").call({"from": deployed.owner.address}) == [1, 0]
    receipt = do(deployed, deployed.owner, "updateStageAndRound")
    assert events(deployed, receipt) == [
        ("RoundAdvanced", {"newRoundNumber": 1}),
        ("StageAdvanced", {"roundNumber": 1, "newStage": 0}),
    ]
    assert [len(log["topics"]) for log in receipt["logs"]] == [2, 2]


def test_a_round_of_three_stages_passes_them_in_order(deployed: Deployed) -> None:
    receipt = do(deployed, deployed.owner, "setStageCount", 3)
    assert events(deployed, receipt) == [("StageCountSet", {"owner": deployed.owner.address, "count": 3})]
    seen = []
    for _ in range(4):
        advance(deployed)
        seen.append((ask(deployed, "currentRound"), ask(deployed, "currentStage")))
    assert seen == [(0, 1), (0, 2), (1, 0), (1, 1)]
    do(deployed, deployed.owner, "setStageCount", 1)
    advance(deployed)
    assert (ask(deployed, "currentRound"), ask(deployed, "currentStage")) == (2, 0)
    assert refusal(deployed, deployed.owner, "setStageCount", 0) == "InvalidStageNumber"


# ---- peers ----


def test_an_account_may_own_many_peers(deployed: Deployed) -> None:
    account: LocalAccount = Account.create()
    receipt = do(deployed, account, "registerPeer", PEER)
    assert events(deployed, receipt) == [("PeerRegistered", {"eoa": account.address, "peerId": PEER})]
    assert len(receipt["logs"][0]["topics"]) == 2
    do(deployed, account, "registerPeer", OTHER)
    stranger = Account.create().address
    assert ask(deployed, "getPeerId", [stranger, account.address]) == [[], [PEER, OTHER]]
    assert ask(deployed, "getEoa", [OTHER, "unknown", PEER]) == [account.address, NOBODY, account.address]


def test_a_peer_id_is_registered_once_even_by_its_owner(deployed: Deployed) -> None:
    owner = registered(deployed, PEER)
    for account in (owner, Account.create()):
        assert refusal(deployed, account, "registerPeer", PEER) == "PeerIdAlreadyRegistered"


def test_a_peer_id_that_got_votes_can_still_be_registered(deployed: Deployed) -> None:
    voter = registered(deployed, PEER)
    do(deployed, voter, "submitWinners", 0, [OTHER], PEER)
    owner = registered(deployed, OTHER)
    assert ask(deployed, "getEoa", [OTHER]) == [owner.address]
    assert ask(deployed, "getPeerId", [owner.address]) == [[OTHER]]


# ---- bootnodes ----


def test_bootnodes_are_added_in_order(deployed: Deployed) -> None:
    receipt = do(deployed, deployed.owner, "addBootnodes", ["a", "b"])
    assert events(deployed, receipt) == [("BootnodesAdded", {"manager": deployed.owner.address, "count": 2})]
    do(deployed, deployed.owner, "addBootnodes", ["c"])
    assert ask(deployed, "getBootnodes") == ["a", "b", "c"]
    assert ask(deployed, "getBootnodesCount") == 3


def test_removing_a_bootnode_puts_the_last_in_its_place(deployed: Deployed) -> None:
    do(deployed, deployed.owner, "addBootnodes", ["a", "b", "c"])
    receipt = do(deployed, deployed.owner, "removeBootnode", 0)
    assert events(deployed, receipt) == [("BootnodeRemoved", {"manager": deployed.owner.address, "index": 0})]
    assert ask(deployed, "getBootnodes") == ["c", "b"]
    do(deployed, deployed.owner, "removeBootnode", 1)
    assert ask(deployed, "getBootnodes") == ["c"]


def test_a_bootnode_that_is_not_there_cannot_be_removed(deployed: Deployed) -> None:
    assert refusal(deployed, deployed.owner, "removeBootnode", 0) == "InvalidBootnodeIndex"
    do(deployed, deployed.owner, "addBootnodes", ["a"])
    assert refusal(deployed, deployed.owner, "removeBootnode", 1) == "InvalidBootnodeIndex"


def test_all_bootnodes_can_be_cleared(deployed: Deployed) -> None:
    do(deployed, deployed.owner, "addBootnodes", ["a", "b"])
    receipt = do(deployed, deployed.owner, "clearBootnodes")
    assert events(deployed, receipt) == [("AllBootnodesCleared", {"manager": deployed.owner.address})]
    assert ask(deployed, "getBootnodes") == []


# ---- votes ----


def test_a_vote_is_counted_everywhere(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    receipt = do(deployed, account, "submitWinners", 0, [OTHER, "third"], PEER)
    arguments = {"account": account.address, "peerId": PEER, "roundNumber": 0, "winners": [OTHER, "third"]}
    assert events(deployed, receipt) == [("WinnerSubmitted", arguments)]
    assert len(receipt["logs"][0]["topics"]) == 3
    assert ask(deployed, "getVoterVotes", 0, PEER) == [OTHER, "third"]
    assert ask(deployed, "getVoterVotes", 0, OTHER) == []
    assert ask(deployed, "getVoterVoteCount", PEER) == 1
    assert ask(deployed, "getPeerVoteCount", 0, OTHER) == 1
    assert ask(deployed, "getPeerVoteCount", 1, OTHER) == 0
    assert ask(deployed, "getTotalWins", OTHER) == 1
    assert ask(deployed, "uniqueVoters") == 1
    assert ask(deployed, "uniqueVotedPeers") == 2


def test_self_votes_and_votes_for_unregistered_peers_are_accepted(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, account, "submitWinners", 0, [PEER, "never registered"], PEER)
    assert ask(deployed, "getTotalWins", PEER) == ask(deployed, "getTotalWins", "never registered") == 1


def test_each_peer_of_an_account_votes_once_a_round(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    advance(deployed)
    do(deployed, account, "submitWinners", 1, [PEER], PEER)
    do(deployed, account, "submitWinners", 1, [PEER], OTHER)
    do(deployed, account, "submitWinners", 0, [OTHER], PEER)
    assert refusal(deployed, account, "submitWinners", 1, [OTHER], PEER) == "WinnerAlreadyVoted"
    assert ask(deployed, "getTotalWins", PEER) == 2
    assert ask(deployed, "getVoterVoteCount", PEER) == 2
    assert ask(deployed, "uniqueVoters") == 2


def test_an_empty_vote_is_a_vote(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, account, "submitWinners", 0, [], PEER)
    assert refusal(deployed, account, "submitWinners", 0, [OTHER], PEER) == "WinnerAlreadyVoted"
    assert ask(deployed, "getVoterVoteCount", PEER) == 1


def test_a_vote_that_names_a_winner_twice_is_refused(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    assert refusal(deployed, account, "submitWinners", 0, ["a", "b", "a"], PEER) == "InvalidVote"
    assert deployed.transact(account, call(deployed, "submitWinners", 0, ["a", "a"], PEER))["status"] == 0
    assert ask(deployed, "getTotalWins", "a") == 0
    do(deployed, account, "submitWinners", 0, ["a"], PEER)


def test_votes_are_checked_for_round_then_repetition_then_owner_then_duplicates(deployed: Deployed) -> None:
    account, stranger = registered(deployed, PEER), Account.create()
    do(deployed, account, "submitWinners", 0, ["a"], PEER)
    advance(deployed)
    assert refusal(deployed, stranger, "submitWinners", 2, ["a", "a"], PEER) == "InvalidRoundNumber"
    assert refusal(deployed, stranger, "submitWinners", 0, ["a", "a"], PEER) == "WinnerAlreadyVoted"
    assert refusal(deployed, stranger, "submitWinners", 1, ["a", "a"], PEER) == "InvalidVoterPeerId"
    assert refusal(deployed, account, "submitWinners", 1, ["a", "a"], PEER) == "InvalidVote"
    assert refusal(deployed, account, "submitWinners", 1, ["a"], "unregistered") == "InvalidVoterPeerId"


def test_leaderboards_show_the_most_first(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    assert ask(deployed, "winnerLeaderboard", 0, 10) == [[], []]
    for number, winners in enumerate((["a", "b", "c"], ["c", "b"], ["c"])):
        do(deployed, account, "submitWinners", number, winners, PEER)
        advance(deployed)
    do(deployed, account, "submitWinners", 0, [], OTHER)
    assert ask(deployed, "winnerLeaderboard", 0, 10) == [["c", "b", "a"], [3, 2, 1]]
    assert ask(deployed, "winnerLeaderboard", 1, 2) == [["b"], [2]]
    assert ask(deployed, "winnerLeaderboard", 2, 1) == ask(deployed, "winnerLeaderboard", 7, 9) == [[], []]
    assert ask(deployed, "voterLeaderboard", 0, 10) == [[PEER, OTHER], [3, 1]]


def test_a_leaderboard_stays_sorted_whoever_gets_votes(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    wins = dict.fromkeys("abcdef", 0)

    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.sampled_from("abcdef"), unique=True))
    def vote(winners: list[str]) -> None:
        do(deployed, account, "submitWinners", ask(deployed, "currentRound"), winners, PEER)
        advance(deployed)
        for winner in winners:
            wins[winner] += 1
        names, counts = ask(deployed, "winnerLeaderboard", 0, 100)
        assert counts == sorted(counts, reverse=True)
        assert dict(zip(names, counts, strict=True)) == {name: won for name, won in wins.items() if won}

    vote()
    assert ask(deployed, "uniqueVotedPeers") == 6


# ---- rewards ----


def test_a_reward_is_recorded_for_peer_and_account(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    receipt = do(deployed, account, REWARD, 0, 0, -7, PEER)
    rewarded = {"account": account.address, "roundNumber": 0, "stageNumber": 0, "reward": -7, "peerId": PEER}
    assert events(deployed, receipt) == [
        ("RewardSubmitted", rewarded),
        ("CumulativeRewardsUpdated", {"account": account.address, "peerId": PEER, "totalRewards": -7}),
    ]
    assert [len(log["topics"]) for log in receipt["logs"]] == [4, 2]
    assert ask(deployed, HAS_REWARD_PEER, 0, 0, PEER)
    assert ask(deployed, HAS_REWARD_ACCOUNT, 0, 0, account.address)
    assert not ask(deployed, HAS_REWARD_PEER, 0, 1, PEER)
    assert not ask(deployed, HAS_REWARD_PEER, 0, 0, OTHER)
    assert not ask(deployed, HAS_REWARD_ACCOUNT, 0, 0, deployed.owner.address)


def test_the_reward_of_an_account_is_the_sum_over_its_peers(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    do(deployed, account, REWARD, 0, 0, 5, PEER)
    do(deployed, account, REWARD, 0, 0, -2, OTHER)
    stranger = Account.create().address
    assert ask(deployed, "getRoundStageReward", 0, 0, [account.address, stranger]) == [3, 0]
    assert ask(deployed, "getTotalRewards", [PEER, OTHER, "unknown"]) == [5, -2, 0]


def test_the_total_of_a_peer_grows_over_rounds(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, account, REWARD, 0, 0, 5, PEER)
    advance(deployed)
    receipt = do(deployed, account, REWARD, 1, 0, 6, PEER)
    assert events(deployed, receipt)[1][1]["totalRewards"] == 11
    assert ask(deployed, "getTotalRewards", [PEER]) == [11]
    assert ask(deployed, "getRoundStageReward", 1, 0, [account.address]) == [6]


def test_a_reward_may_be_unsigned(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, account, UNSIGNED_REWARD, 0, 0, 9, PEER)
    assert ask(deployed, "getTotalRewards", [PEER]) == [9]
    assert refusal(deployed, account, REWARD, 0, 0, 9, PEER) == "RewardAlreadySubmitted"


def test_an_unsigned_reward_never_turns_negative(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    assert refusal(deployed, account, UNSIGNED_REWARD, 0, 0, 2**255, PEER) == "RewardTooLarge"
    do(deployed, account, UNSIGNED_REWARD, 0, 0, 2**255 - 1, PEER)
    assert ask(deployed, "getTotalRewards", [PEER]) == [2**255 - 1]


def test_past_rounds_take_rewards_up_to_the_stage_count(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    advance(deployed, rounds=2)
    do(deployed, account, REWARD, 0, 0, 1, PEER)
    do(deployed, account, REWARD, 0, 1, 2, PEER)
    do(deployed, account, REWARD, 1, 1, 4, PEER)
    assert refusal(deployed, account, REWARD, 0, 2, 1, PEER) == "InvalidStageNumber"
    assert ask(deployed, "getTotalRewards", [PEER]) == [7]


def test_the_round_that_is_on_takes_rewards_up_to_its_stage(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, deployed.owner, "setStageCount", 3)
    assert refusal(deployed, account, REWARD, 0, 1, 1, PEER) == "InvalidStageNumber"
    advance(deployed)
    do(deployed, account, REWARD, 0, 0, 1, PEER)
    do(deployed, account, REWARD, 0, 1, 1, PEER)
    assert refusal(deployed, account, REWARD, 0, 2, 1, PEER) == "InvalidStageNumber"


@pytest.mark.parametrize("signature", [REWARD, UNSIGNED_REWARD])
def test_rewards_are_checked_for_round_then_stage_then_repetition_then_owner(
    deployed: Deployed, signature: str
) -> None:
    account, stranger = registered(deployed, PEER), Account.create()
    do(deployed, account, signature, 0, 0, 1, PEER)
    assert refusal(deployed, stranger, signature, 1, 9, 1, PEER) == "InvalidRoundNumber"
    assert refusal(deployed, stranger, signature, 0, 1, 1, PEER) == "InvalidStageNumber"
    assert refusal(deployed, stranger, signature, 0, 0, 1, PEER) == "RewardAlreadySubmitted"
    advance(deployed)
    assert refusal(deployed, stranger, signature, 1, 0, 1, PEER) == "InvalidVoterPeerId"
    assert refusal(deployed, account, signature, 1, 0, 1, "unregistered") == "InvalidVoterPeerId"


def test_a_transaction_that_reverts_leaves_no_trace(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    receipt = deployed.transact(account, call(deployed, REWARD, 5, 0, 1, PEER))
    assert (receipt["status"], receipt["logs"]) == (0, [])
    assert ask(deployed, "getTotalRewards", [PEER]) == [0]
