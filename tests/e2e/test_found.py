"""Found a swarm by one command."""

import pytest

from services.coordinator.invited import read
from services.local.supervisor import Supervisor
from tests.e2e.found_kit import TwoHouseholds

pytestmark = pytest.mark.timeout(240)


def test_a_swarm_is_founded_in_one_go_and_nothing_is_left_running(tmp_path):
    two = TwoHouseholds(tmp_path)
    invite = two.found("--days", "7")
    folder = tmp_path / "meadow"
    assert (invite.swarm, invite.game, invite.mix) == ("meadow", "answer", "easy")
    assert invite.contract in (folder / "state" / "coordinator" / "deployment.json").read_text()
    assert read(two.printed, 0.0).founder == invite.founder
    assert "is reached from this machine only" in two.said
    assert f"rlswarm up --local --name {invite.swarm}" in two.said
    assert not Supervisor(two.folder("meadow")).alive()
    assert two.folder("meadow").read_plan().started_at == 0
