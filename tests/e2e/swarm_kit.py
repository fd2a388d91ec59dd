"""A whole swarm as a user starts it, and a look at what it left from outside of its own code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.logs import DISCARD

from services.chain.anvil import anvil_command
from services.local.anvil import find_anvil
from services.local.folder import RunFolder
from services.local.supervisor import Supervisor
from tests.conftest import free_port

ROOT = Path(__file__).parents[2]


class Swarm:
    """`rlswarm up --local`, or another command that stays with a run, in a process of its own."""

    def __init__(
        self,
        runs: Path,
        name: str,
        *,
        rounds: int | None = None,
        peers: int = 3,
        command: Sequence[str] = ("up", "--local"),
        within: Sequence[str] = (),  # what the command is run by, as `ip netns exec NAME`
    ) -> None:
        self.folder = RunFolder(runs / name)
        self.out = runs / f"{name}.out"
        told = ["--name", name, "--no-table", "--peers", str(peers), *(["--rounds", str(rounds)] if rounds else [])]
        self.started = time.monotonic()
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-m", "services.cli", *command, *told],
                cwd=ROOT,
                env={**os.environ, "RUNS_DIR": str(runs)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def log(self, program: str) -> str:
        path = self.folder.log_of(program)
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self, program: str) -> int:
        """The pid of a supervised program, 0 while it does not run."""
        programs = Supervisor(self.folder).programs() or []
        return next((p.pid for p in programs if p.name == program), 0)

    def round(self) -> int:
        """The last round that any trainer was through with; -1 before the first."""
        return max(self.rounds(), default=-1)

    def rounds(self) -> set[int]:
        """The rounds that any trainer was through with, as their logs say."""
        logs = "".join(self.log(f"trainer-{k}") for k in range(8))
        numbers = [line.split("round ")[1].split(":")[0] for line in logs.splitlines() if " earned " in line]
        return set(map(int, numbers))

    def wait(self, what: str, condition: Callable[[], Any], seconds: float) -> Any:
        """Wait for something to come true while the swarm lives."""
        until = time.monotonic() + seconds
        while not (found := condition()):
            assert self.process.poll() is None, f"the swarm ended while waiting for {what}:\n{self.said()}"
            assert time.monotonic() < until, f"{what}: not within {seconds} s\n{self.said()}"
            time.sleep(0.1)
        return found

    def end(self, seconds: float) -> dict[str, Any]:
        """Wait for the end; the summary."""
        code = self.process.wait(timeout=seconds)
        assert code == 0, self.said()
        summary: dict[str, Any] = json.loads(self.folder.summary.read_text())
        return summary

    def said(self) -> str:
        """The last of what the command and every program said."""
        logs = sorted(self.folder.logs.glob("*.log")) if self.folder.logs.exists() else []
        return "\n".join(
            f"== {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-8:])
            for path in [self.out, *logs]
        )

    def stop(self) -> None:
        """End all of it, however it stands."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)


def contract_on(web3: Web3, address: str) -> Contract:
    """The swarm's contract, by the committed ABI."""
    abi = json.loads((ROOT / "contracts" / "artifacts" / "SwarmCoordinator.json").read_text())["abi"]
    return web3.eth.contract(Web3.to_checksum_address(address), abi=abi)


class SavedChain:
    """The chain that a finished run left, started again; looked at with plain web3 and the committed ABI."""

    def __init__(self, folder: RunFolder) -> None:
        port = free_port()
        command = anvil_command(find_anvil(ROOT / ".cache"), host="127.0.0.1", port=port, state=folder.chain_state)
        self.process = subprocess.Popen(command)
        self.web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
        until = time.monotonic() + 15
        while not self.web3.is_connected():
            assert time.monotonic() < until
            time.sleep(0.05)

    def contract(self, address: str) -> Contract:
        return contract_on(self.web3, address)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=15)


def check_chain(swarm: Swarm, summary: dict[str, Any]) -> None:
    """Every reward of the summary is on the chain exactly once, with the value that the summary gives."""
    chain = SavedChain(swarm.folder)
    try:
        contract = chain.contract(summary["contract"])
        totals: dict[str, int] = {}
        for reward in summary["rewards"]:
            has = contract.get_function_by_signature("hasSubmittedRoundStageReward(uint256,uint256,string)")
            assert has(reward["round"], 0, reward["peer"]).call(), reward
            totals[reward["peer"]] = totals.get(reward["peer"], 0) + reward["points"]
        # One sum a peer: had any reward been lost or counted twice, it would differ.
        assert contract.functions.getTotalRewards(list(totals)).call() == list(totals.values())
        for reward in summary["rewards"]:
            receipt = chain.web3.eth.get_transaction_receipt(reward["transaction"])
            (event,) = [
                log["args"]
                for log in contract.events.RewardSubmitted().process_receipt(receipt, errors=DISCARD)
                if log["args"]["peerId"] == reward["peer"] and log["args"]["roundNumber"] == reward["round"]
            ]
            assert (receipt["status"], event["reward"]) == (1, reward["points"])
    finally:
        chain.stop()
