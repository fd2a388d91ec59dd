"""Whoever runs the last release and checks out this one finds everything where it was."""

import subprocess

import pytest

from tests.containers.engine import ROOT
from tests.containers.stack import Stack

PROJECT = "rlswarm-upgrade"
pytestmark = pytest.mark.timeout(1_800)


def last_release():
    """The newest tag that has a stack in containers and is not this very commit."""
    tags = git("tag", "--list", "v*", "--sort=-v:refname", "--merged", "HEAD").split()
    for tag in tags:
        if git("ls-tree", "--name-only", tag, "docker-compose.yml") and git("rev-parse", f"{tag}^{{}}") != git(
            "rev-parse", "HEAD"
        ):
            return tag
    pytest.skip("there is no earlier release (tag v*) to upgrade from")


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_an_upgrade_keeps_identity_weights_chain_and_totals(built, tmp_path):
    old = Stack(tmp_path / "old", PROJECT, ref=last_release(), IMAGE_TAG="test-old")
    new = None
    try:
        old.build()
        old.up()
        old.wait("rounds", lambda: len(old.history().rewards()) >= 5, 180)
        before, chain = old.history(), old.chain()
        old.down()
        kept = {name: value for name, value in old.settings.items() if name != "IMAGE_TAG"}
        new = Stack(tmp_path / "new", PROJECT, **kept)
        new.up()
        new.wait("more rounds", lambda: len(new.history().trained) >= len(before.trained) + 5, 180)
        after, then = new.history(), new.chain()
        assert after.peers() == before.peers()
        assert set(before.landed) <= set(after.landed)
        assert then.contract == chain.contract
        assert then.rewards_settled >= chain.rewards_settled
        assert new.lineage_breaks() == []
    finally:
        (new or old).down("-v")
