"""Found, invite and join between two hosts: network namespaces with addresses of their own, joined by a cable."""

import os
import shutil
import subprocess

import pytest

from tests.e2e.found_kit import TwoHouseholds, check_rewards, trained_together

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
        invite = two.found("--host", FOUNDER)
        assert invite.chain_url == f"http://{FOUNDER}:8545"
        assert all(peer.startswith(f"/ip4/{FOUNDER}/tcp/") for peer in invite.peers)
        founder = two.start()
        founder.wait("a round", founder.rounds, 90)
        guest = two.join(two.invite(), "--host", GUEST)
        guest.wait("rounds together", lambda: trained_together(founder, guest), 120)
        two.stop()
        check_rewards(founder, guest, invite.contract)
    finally:
        two.stop()
