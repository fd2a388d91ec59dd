"""Found, invite and join between two hosts: network namespaces with addresses of their own, joined by a cable."""

import os
import shutil
import subprocess

import pytest

from tests.e2e.found_kit import TwoHouseholds, check_rewards, rlswarm, trained_together
from tests.e2e.swarm_kit import SavedChain
from tests.invite_kit import FOUNDER as FOUNDER_OF_NONE
from tests.invite_kit import text_of

pytestmark = pytest.mark.timeout(300)
FOUNDER, GUEST = "10.91.7.1", "10.91.7.2"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=15)


@pytest.fixture
def hosts():
    """The names of two namespaces whose only way out is to each other."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and the command ip")
    names = [f"invite-{who}-{os.getpid()}" for who in ("a", "b")]
    made = []
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
            made.append(name)
        ip("-n", names[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", names[1])
        for name, address in zip(names, (FOUNDER, GUEST), strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
            for device in ("wire", "lo"):
                ip("-n", name, "link", "set", device, "up")
        yield [("ip", "netns", "exec", name) for name in names]
    finally:
        for name in made:
            ip("netns", "delete", name)


def test_a_guest_on_another_host_takes_part_by_the_invite_alone(tmp_path, hosts):
    two = TwoHouseholds(tmp_path, *hosts)
    try:
        founded = two.found("--host", FOUNDER)
        assert founded.chain_url == f"http://{FOUNDER}:8545"
        assert all(peer.startswith(f"/ip4/{FOUNDER}/tcp/") for peer in founded.peers)
        assert "from this machine only" not in two.said
        founder = two.start()
        founder.wait("a round", founder.rounds, 90)
        text = two.invite()
        again = two.found()  # it is up: nothing is made anew
        assert (again.contract, again.founder, again.peers) == (founded.contract, founded.founder, founded.peers)
        for wrong, words in ((text_of(founded), "not signed by the founder"), (stolen(founded), "is foreign")):
            refused = rlswarm(tmp_path, "join", wrong, "--name", "guest", within=two.at_guest)
            assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr
        guest = two.join(text, "--host", GUEST)
        guest.wait("rounds together", lambda: trained_together(founder, guest), 120)
        two.stop()
        chain = SavedChain(founder.folder)
        try:
            check_rewards(chain.web3, founded.contract, guest)
        finally:
            chain.stop()
    finally:
        two.stop()


def stolen(invite):
    """Somebody else's own invite to the contract."""
    return text_of(invite.model_copy(update={"founder": FOUNDER_OF_NONE}))
