"""Rounds of three stages on real parts: two peers debate, and the chain holds every stage."""

import re

import pytest

from tests.e2e.swarm_kit import SavedChain, Swarm

ROUNDS, PEERS, STAGES = 3, 2, 3


@pytest.mark.timeout(400)
def test_two_peers_debate_for_three_rounds(tmp_path, monkeypatch):
    monkeypatch.setenv("GAME", "debate")
    monkeypatch.setenv("QUESTIONS", "4")
    swarm = Swarm(tmp_path, "debate", rounds=ROUNDS, peers=PEERS)
    try:
        summary = swarm.end(360)
    finally:
        swarm.stop()
    assert (summary["rounds"], summary["restarts"], summary["records_rejected"]) == (ROUNDS, 0, 0)
    # A trainer that was slow to start may have missed the first stages.
    assert STAGES * (ROUNDS - 1) * PEERS <= summary["rewards_on_chain"] <= STAGES * ROUNDS * PEERS
    assert (ROUNDS - 1) * PEERS <= summary["winners_on_chain"] <= ROUNDS * PEERS
    for index in range(PEERS):
        log = swarm.log(f"trainer-{index}")
        assert "Traceback" not in log and " ERROR " not in log, log
        heard = re.findall(r"learnt from \d+ own and \d+ of ([1-9]\d*) peers' groups", log)
        assert len(heard) > STAGES * (ROUNDS - 1) - STAGES, "most stages are heard of the other, too"
    chain = SavedChain(swarm.folder)
    try:
        contract = chain.contract(summary["contract"])
        assert contract.functions.stageCount().call() == STAGES
        assert contract.functions.currentRound().call() == ROUNDS - 1
        rewarded = contract.get_function_by_signature("hasSubmittedRoundStageReward(uint256,uint256,string)")
        for peer in {reward["peer"] for reward in summary["rewards"]}:
            assert [rewarded(ROUNDS - 1, stage, peer).call() for stage in range(STAGES)] == [True] * STAGES
    finally:
        chain.stop()
