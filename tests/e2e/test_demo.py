"""The README's promise: three peers, sixty rounds, on real parts, and they visibly learn."""

import re
import time

import pytest

from tests.e2e.swarm_kit import Swarm, check_chain

ROUNDS, PEERS = 60, 3


@pytest.mark.timeout(600)
def test_three_peers_learn_together_in_sixty_rounds(tmp_path):
    swarm = Swarm(tmp_path, "demo", rounds=ROUNDS, peers=PEERS)
    try:
        swarm.wait("the first trained round", lambda: swarm.round() >= 0, 60)
        summary = swarm.end(360 - (time.monotonic() - swarm.started))
    finally:
        swarm.stop()
    print({key: value for key, value in summary.items() if key != "rewards"})
    assert (summary["rounds"], summary["peers"], summary["restarts"]) == (ROUNDS, PEERS, 0)
    assert summary["reward_last10"] >= 1.3 * summary["reward_first10"]
    # Nearly every (round, peer) has a reward and a vote; a trainer that was slow to start may have missed the first.
    assert ROUNDS * PEERS - PEERS <= summary["rewards_on_chain"] == len(summary["rewards"]) <= ROUNDS * PEERS
    assert ROUNDS * PEERS - PEERS <= summary["winners_on_chain"] <= ROUNDS * PEERS
    assert summary["records_rejected"] == 0
    for index in range(PEERS):
        with_peers = re.findall(r"learnt from \d+ own and ([1-9]\d*) of", swarm.log(f"trainer-{index}"))
        assert len(with_peers) > ROUNDS / 2, "most rounds are learnt from peers' groups too"
    for program in ("coordinator", "p2p", "identity", "judge", "trainer-0"):
        assert "Traceback" not in swarm.log(program) and " ERROR " not in swarm.log(program), swarm.log(program)
    check_chain(swarm, summary)
