"""Found a swarm, invite, join: by the commands that a founder and a guest type, and a look at what came of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from web3 import Web3

from services.local.folder import RunFolder
from shared.invite import Invite, parse
from tests.e2e.swarm_kit import ROOT, Swarm, contract_on

TOGETHER = 3  # rounds


def rlswarm(runs: Path, *arguments: str, within: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*within, sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "RUNS_DIR": str(runs)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TwoHouseholds:
    """A founder and a guest, each by commands of its own, maybe each on a host of its own."""

    def __init__(self, runs: Path, founder: Sequence[str] = (), guest: Sequence[str] = ()) -> None:
        self.runs, self.at_founder, self.at_guest = runs, founder, guest
        self.swarms: list[Swarm] = []

    def found(self, *options: str) -> Invite:
        """`rlswarm init`; what it prints, read."""
        done = rlswarm(self.runs, "init", "meadow", "--peers", "1", *options, within=self.at_founder)
        assert done.returncode == 0, done.stderr
        self.printed, self.said = done.stdout, done.stderr
        return parse(done.stdout, None).invite  # nothing else is on stdout

    def folder(self, name: str) -> RunFolder:
        """A run's folder."""
        return RunFolder(self.runs / name)

    def start(self) -> Swarm:
        """The founder's run."""
        return self._kept(Swarm(self.runs, "meadow", peers=1, rounds=100_000, within=self.at_founder))

    def invite(self) -> str:
        """`rlswarm invite`."""
        done = rlswarm(self.runs, "invite", "--name", "meadow", "--days", "2", within=self.at_founder)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def join(self, text: str, *options: str) -> Swarm:
        """`rlswarm join`."""
        command = ("join", text, *options)
        return self._kept(Swarm(self.runs, "guest", peers=1, command=command, within=self.at_guest))

    def stop(self) -> None:
        """End both, the guest first."""
        for swarm in reversed(self.swarms):
            swarm.stop()

    def _kept(self, swarm: Swarm) -> Swarm:
        self.swarms.append(swarm)
        return swarm


def trained_together(founder: Swarm, guest: Swarm) -> bool:
    """Whether both have trained in enough of the same rounds."""
    return len(founder.rounds() & guest.rounds()) >= TOGETHER


def check_rewards(chain: Web3, contract: str, guest: Swarm) -> None:
    """The guest's rewards are on the founder's chain, under an account of the guest's own."""
    told = contract_on(chain, contract)
    peers = sorted(set(re.findall(r"hosting .*\((\w+)\)", guest.log("p2p"))))
    (account,) = set(told.functions.getEoa(peers).call())
    assert int(account, 16) > 0, "the guest's peer is registered by nobody"
    has = told.get_function_by_signature("hasSubmittedRoundStageReward(uint256,uint256,string)")
    rewarded = [number for number in guest.rounds() if has(number, 0, peers[0]).call()]
    assert len(rewarded) >= TOGETHER - 1, (rewarded, guest.rounds())  # the last may be on its way
