"""What owners of a swarm may switch on, and batches: each rule as a fact, and that it is off by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3.types import TxReceipt

from tests.contract_kit import (
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
    now,
    refusal,
    registered,
    role,
    selector,
    wait,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Deployed

OFF = {
    "bounded": False,
    "proofRequired": False,
    "listedOnly": False,
    "lookBack": 0,
    "stageSeconds": 0,
    "rewardCap": 0,
}
NEVER = 2**256 - 1


def rule(swarm: Deployed, **on: Any) -> TxReceipt:
    """Switch these rules on, and all others off."""
    return do(swarm, swarm.owner, "setRules", tuple((OFF | on).values()))


def claim(number: int, reward: int, peer: str = PEER, stage: int = 0) -> tuple[int, int, int, str]:
    return number, stage, reward, peer


def place(swarm: Deployed) -> tuple[int, int]:
    return ask(swarm, "currentRound"), ask(swarm, "currentStage")


# ---- all rules ----


def test_all_rules_are_off_in_the_beginning(deployed: Deployed) -> None:
    assert ask(deployed, "rules") == tuple(OFF.values())
    assert ask(deployed, "listedAccounts") == []
    assert ask(deployed, "dueAt") == NEVER


def test_an_owner_sets_all_rules_at_once(deployed: Deployed) -> None:
    on = {
        "bounded": True,
        "proofRequired": True,
        "listedOnly": True,
        "lookBack": 2**32 - 1,
        "stageSeconds": 2**32 - 1,
        "rewardCap": 2**128 - 1,
    }
    receipt = rule(deployed, **on)
    assert events(deployed, receipt) == [("RulesSet", {"owner": deployed.owner.address, "rules": on})]
    assert ask(deployed, "rules") == tuple(on.values())
    rule(deployed)
    assert ask(deployed, "rules") == tuple(OFF.values())


@pytest.mark.parametrize(("name", "arguments"), [("setRules", (tuple(OFF.values()),)), ("setListed", ([NOBODY], True))])
def test_nobody_but_an_owner_sets_rules(deployed: Deployed, name: str, arguments: tuple[Any, ...]) -> None:
    assert refusal(deployed, Account.create(), name, *arguments) == "OnlyOwner"


# ---- bounds ----


def test_a_bounded_swarm_takes_peer_ids_of_1_to_128_bytes(deployed: Deployed) -> None:
    account = registered(deployed, "x" * 10_000)
    rule(deployed, bounded=True)
    for peer in ("", "x" * 129, "\u00e9" * 65):
        assert refusal(deployed, account, "registerPeer", peer) == "InvalidPeerId"
    for peer in ("y", "x" * 128, "\u00e9" * 64):
        do(deployed, account, "registerPeer", peer)
    rule(deployed)
    do(deployed, account, "registerPeer", "")


def test_a_bounded_swarm_takes_votes_for_1_to_64_winners(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    do(deployed, account, "submitWinners", 0, [], OTHER)
    rule(deployed, bounded=True)
    advance(deployed)
    many = [f"peer {number}" for number in range(65)]
    assert refusal(deployed, account, "submitWinners", 1, [], PEER) == "InvalidVote"
    assert refusal(deployed, account, "submitWinners", 1, many, PEER) == "InvalidVote"
    assert refusal(deployed, account, "submitWinners", 1, ["a", "x" * 129], PEER) == "InvalidPeerId"
    assert refusal(deployed, account, "submitWinners", 1, ["a", ""], PEER) == "InvalidPeerId"
    do(deployed, account, "submitWinners", 1, many[:64], PEER)
    assert ask(deployed, "uniqueVotedPeers") == 64


# ---- look-back and cap ----


def test_rewards_and_votes_of_long_past_rounds_are_refused_behind_the_look_back(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    do(deployed, account, REWARD, 0, 0, 1, PEER)
    do(deployed, account, "submitWinners", 0, ["a"], PEER)
    advance(deployed, rounds=4)
    rule(deployed, lookBack=2)
    assert refusal(deployed, account, REWARD, 1, 0, 1, PEER) == "RoundTooOld"
    assert refusal(deployed, account, "submitWinners", 1, ["a"], PEER) == "RoundTooOld"
    # What is there already is said to be there, however old.
    assert refusal(deployed, account, REWARD, 0, 0, 1, PEER) == "RewardAlreadySubmitted"
    assert refusal(deployed, account, "submitWinners", 0, ["a"], PEER) == "WinnerAlreadyVoted"
    do(deployed, account, REWARD, 2, 0, 1, PEER)
    do(deployed, account, "submitWinners", 2, ["a"], PEER)
    rule(deployed)
    do(deployed, account, REWARD, 1, 0, 1, PEER)


@pytest.mark.parametrize("signature", [REWARD, UNSIGNED_REWARD])
def test_a_cap_holds_for_each_reward_of_either_sign(deployed: Deployed, signature: str) -> None:
    account = registered(deployed, PEER)
    advance(deployed, rounds=3)
    rule(deployed, rewardCap=1000)
    assert refusal(deployed, account, signature, 0, 0, 1001, PEER) == "RewardTooLarge"
    do(deployed, account, signature, 0, 0, 1000, PEER)
    assert refusal(deployed, account, REWARD, 1, 0, -1001, PEER) == "RewardTooLarge"
    assert refusal(deployed, account, REWARD, 1, 0, -(2**255), PEER) == "RewardTooLarge"
    do(deployed, account, REWARD, 1, 0, -1000, PEER)
    rule(deployed)
    do(deployed, account, signature, 2, 0, 10**30, PEER)


def test_a_reward_that_its_sum_cannot_hold_is_refused_by_name(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    advance(deployed)
    do(deployed, account, REWARD, 0, 0, 2**255 - 1, PEER)
    assert refusal(deployed, account, REWARD, 1, 0, 1, PEER) == "RewardTooLarge"
    assert refusal(deployed, account, REWARD, 0, 0, 1, OTHER) == "RewardTooLarge"
    do(deployed, account, REWARD, 1, 0, -(2**255), PEER)
    assert ask(deployed, "getTotalRewards", [PEER]) == [-1]
    do(deployed, account, REWARD, 1, 0, 0, OTHER)
    assert refusal(deployed, account, REWARD, 1, 1, -1, OTHER) == "InvalidStageNumber"


# ---- batches ----


def test_a_batch_settles_each_reward_as_one_by_one(deployed: Deployed) -> None:
    account = registered(deployed, PEER, OTHER)
    advance(deployed)
    receipt = do(deployed, account, "submitRewards", [claim(0, 5), claim(1, -7), claim(1, 3, OTHER)])
    names = [name for name, _ in events(deployed, receipt)]
    assert names == ["RewardSubmitted", "CumulativeRewardsUpdated"] * 3
    assert ask(deployed, "getTotalRewards", [PEER, OTHER]) == [-2, 3]
    assert ask(deployed, "getRoundStageReward", 1, 0, [account.address]) == [-4]


def test_a_batch_skips_what_it_cannot_take_and_says_why(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    registered(deployed, OTHER)
    do(deployed, account, REWARD, 0, 0, 1, PEER)
    advance(deployed)
    wrong = {
        claim(0, 9): "RewardAlreadySubmitted",
        claim(2, 9): "InvalidRoundNumber",
        claim(1, 9, stage=1): "InvalidStageNumber",
        claim(1, 9, OTHER): "InvalidVoterPeerId",
    }
    batch = [*wrong, claim(1, 4), claim(1, 5)]
    reasons = [selector(error) for error in (*wrong.values(), "RewardAlreadySubmitted")]
    told = call(deployed, "submitRewards", batch).call({"from": account.address})
    assert told == [*reasons[:4], b"\0" * 4, reasons[4]]
    receipt = do(deployed, account, "submitRewards", batch)
    skipped = [arguments for name, arguments in events(deployed, receipt) if name == "RewardSkipped"]
    assert [arguments["reason"] for arguments in skipped] == reasons
    assert skipped[3] == {
        "account": account.address,
        "roundNumber": 1,
        "stageNumber": 0,
        "peerId": OTHER,
        "reason": reasons[3],
    }
    assert ask(deployed, "getTotalRewards", [PEER, OTHER]) == [5, 0]


def test_a_batch_that_is_sent_twice_counts_once(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    advance(deployed, rounds=3)
    batch = [claim(number, 10) for number in range(4)]
    do(deployed, account, "submitRewards", batch[:2])
    do(deployed, account, "submitRewards", batch)
    receipt = do(deployed, account, "submitRewards", batch)
    assert [name for name, _ in events(deployed, receipt)] == ["RewardSkipped"] * 4
    assert ask(deployed, "getTotalRewards", [PEER]) == [40]


def test_one_enormous_reward_does_not_make_its_batch_fail(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    advance(deployed, rounds=2)
    batch = [claim(0, 2**255 - 1), claim(1, 1), claim(2, -5)]
    told = call(deployed, "submitRewards", batch).call({"from": account.address})
    assert told == [b"\0" * 4, selector("RewardTooLarge"), b"\0" * 4]
    do(deployed, account, "submitRewards", batch)
    assert ask(deployed, "getTotalRewards", [PEER]) == [2**255 - 6]


def test_the_rules_hold_for_batches_too(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    advance(deployed, rounds=3)
    rule(deployed, lookBack=1, rewardCap=10)
    told = call(deployed, "submitRewards", [claim(1, 1), claim(2, 11), claim(3, 10)])
    assert told.call({"from": account.address}) == [selector("RoundTooOld"), selector("RewardTooLarge"), b"\0" * 4]
    rule(deployed, listedOnly=True)
    assert told.call({"from": account.address}) == [selector("AccountNotListed")] * 3


def test_an_empty_batch_does_nothing(deployed: Deployed) -> None:
    assert events(deployed, do(deployed, Account.create(), "submitRewards", [])) == []


# ---- rounds by the clock ----


def test_without_the_rule_nobody_advances_by_the_clock(deployed: Deployed) -> None:
    wait(deployed, 10**6)
    for account in (Account.create(), deployed.owner):
        assert refusal(deployed, account, "advanceRoundIfDue") == "NotDue"


def test_anybody_ends_a_stage_that_lasted_long_enough_and_nobody_before(deployed: Deployed) -> None:
    stranger: LocalAccount = Account.create()
    rule(deployed, stageSeconds=60)
    due = ask(deployed, "dueAt")
    assert due == now(deployed) + 60
    assert refusal(deployed, stranger, "advanceRoundIfDue") == "NotDue"
    wait(deployed, due - now(deployed) - 3)
    assert deployed.transact(stranger, call(deployed, "advanceRoundIfDue"))["status"] == 0
    wait(deployed, 3)
    receipt = do(deployed, stranger, "advanceRoundIfDue")
    assert events(deployed, receipt) == [
        ("RoundAdvanced", {"newRoundNumber": 1}),
        ("StageAdvanced", {"roundNumber": 1, "newStage": 0}),
    ]


def test_each_stage_lasts_from_its_own_beginning_so_that_lost_time_is_not_made_up(deployed: Deployed) -> None:
    stranger: LocalAccount = Account.create()
    do(deployed, deployed.owner, "setStageCount", 2)
    rule(deployed, stageSeconds=60)
    wait(deployed, 1000)
    do(deployed, stranger, "advanceRoundIfDue")
    assert place(deployed) == (0, 1)
    assert refusal(deployed, stranger, "advanceRoundIfDue") == "NotDue"
    wait(deployed, 60)
    do(deployed, stranger, "advanceRoundIfDue")
    assert place(deployed) == (1, 0)
    assert ask(deployed, "dueAt") == now(deployed) + 60


def test_a_stage_manager_may_end_a_stage_earlier_and_the_next_has_its_whole_time(deployed: Deployed) -> None:
    rule(deployed, stageSeconds=60)
    wait(deployed, 50)
    advance(deployed)
    assert place(deployed) == (1, 0)
    assert ask(deployed, "dueAt") == now(deployed) + 60


def test_another_duration_holds_for_the_stage_that_is_on(deployed: Deployed) -> None:
    rule(deployed, stageSeconds=60)
    began = now(deployed)
    wait(deployed, 30)
    rule(deployed, stageSeconds=100)
    assert ask(deployed, "dueAt") == began + 100
    rule(deployed)
    wait(deployed, 500)
    assert refusal(deployed, Account.create(), "advanceRoundIfDue") == "NotDue"
    rule(deployed, stageSeconds=60)
    assert ask(deployed, "dueAt") == now(deployed) + 60


# ---- the allow list ----


def test_an_allow_list_can_be_read_whether_or_not_it_is_enforced(deployed: Deployed) -> None:
    guest, other = Account.create().address, Account.create().address
    receipt = do(deployed, deployed.owner, "setListed", [guest, other, guest], True)
    listed = [arguments for name, arguments in events(deployed, receipt) if name == "AccountListed"]
    assert listed == [{"owner": deployed.owner.address, "account": one, "listed": True} for one in (guest, other)]
    assert ask(deployed, "listedAccounts") == [guest, other]
    do(deployed, deployed.owner, "setListed", [guest], False)
    assert ask(deployed, "listedAccounts") == [other]
    assert [ask(deployed, "isListed", one) for one in (guest, other)] == [False, True]
    registered(deployed, PEER)


def test_where_it_is_enforced_only_listed_accounts_register_and_submit(deployed: Deployed) -> None:
    account = registered(deployed, PEER)
    rule(deployed, listedOnly=True)
    assert refusal(deployed, account, "registerPeer", OTHER) == "AccountNotListed"
    assert refusal(deployed, account, REWARD, 0, 0, 1, PEER) == "AccountNotListed"
    assert refusal(deployed, account, "submitWinners", 0, ["a"], PEER) == "AccountNotListed"
    do(deployed, deployed.owner, "setListed", [account.address], True)
    do(deployed, account, "registerPeer", OTHER)
    do(deployed, account, REWARD, 0, 0, 1, PEER)
    do(deployed, account, "submitWinners", 0, ["a"], PEER)
    do(deployed, deployed.owner, "setListed", [account.address], False)
    assert refusal(deployed, account, REWARD, 0, 0, 1, OTHER) == "AccountNotListed"
    assert refusal(deployed, account, REWARD, 0, 0, 1, PEER) == "RewardAlreadySubmitted"


# ---- the last owner ----


def test_the_last_owner_cannot_leave(deployed: Deployed) -> None:
    owner, mine = deployed.owner, role(deployed, "OWNER_ROLE")
    assert refusal(deployed, owner, "revokeRole", mine, owner.address) == "LastOwner"
    do(deployed, owner, "grantRole", mine, owner.address)  # again: still one
    assert refusal(deployed, owner, "revokeRole", mine, owner.address) == "LastOwner"


def test_a_swarm_is_handed_over_by_granting_and_leaving(deployed: Deployed) -> None:
    owner, heir, mine = deployed.owner, Account.create(), role(deployed, "OWNER_ROLE")
    do(deployed, owner, "grantRole", mine, heir.address)
    do(deployed, owner, "revokeRole", mine, owner.address)
    assert refusal(deployed, owner, "setStageCount", 2) == "OnlyOwner"
    assert refusal(deployed, heir, "revokeRole", mine, heir.address) == "LastOwner"
    do(deployed, heir, "setStageCount", 2)


def test_revoking_a_role_that_nobody_holds_does_not_count_as_an_owner_less(deployed: Deployed) -> None:
    owner, heir, mine = deployed.owner, Account.create(), role(deployed, "OWNER_ROLE")
    do(deployed, owner, "grantRole", mine, heir.address)
    do(deployed, owner, "revokeRole", mine, Account.create().address)
    do(deployed, owner, "revokeRole", role(deployed, "STAGE_MANAGER_ROLE"), owner.address)
    do(deployed, owner, "revokeRole", mine, owner.address)
    assert ask(deployed, "hasRole", mine, heir.address)
