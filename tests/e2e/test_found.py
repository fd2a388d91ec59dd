"""Found a swarm, invite, join, on one machine."""

import re

import pytest

from tests.e2e.found_kit import TwoHouseholds, check_rewards, rlswarm, trained_together
from tests.invite_kit import text_of

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def households(tmp_path):
    two = TwoHouseholds(tmp_path)
    yield two
    two.stop()


def test_a_swarm_is_founded_invited_to_and_joined_by_three_commands(households):
    founded = households.found()
    founder = households.start()
    founder.wait("a round", founder.rounds, 90)
    text = households.invite()
    again = households.found()  # while it runs: says what is there
    assert (again.contract, again.founder, again.peers) == (founded.contract, founded.founder, founded.peers)
    foreign = rlswarm(households.runs, "join", text_of(founded), "--name", "guest")  # signed by somebody else
    assert (foreign.returncode, "not signed by the founder" in foreign.stderr) == (2, True)
    guest = households.join(text)
    guest.wait("rounds together", lambda: trained_together(founder, guest), 90)
    guest.wait("rollouts of the other", lambda: re.search(r"own and [1-9]\d* of", guest.log("trainer-0")), 30)
    households.stop()
    assert guest.folder.read_plan().invite == text
    assert not (guest.folder.root / "chain" / "state.json").exists()
    check_rewards(founder, guest, founded.contract)
