"""kill -9 of every process of a swarm, one after the other, while it trains: it goes on, and the sums still add up."""

import os
import re
import signal

import psutil
import pytest

from services.local.restarts import read_restarts
from services.local.supervisor import Supervisor
from tests.e2e.swarm_kit import Swarm, check_chain

PROGRAMS = ("identity", "judge", "trainer-0", "coordinator", "p2p", "redis", "chain")


def trained(swarm):
    """(peer's name, round) of every round whose end a trainer logged."""
    logs = "".join(swarm.log(f"trainer-{k}") for k in range(2))
    return [(name, int(number)) for number, name in re.findall(r"round (\d+): (.*) earned", logs)]


def inner(pid, name):
    """The process of that name: the program itself, or one that it started."""
    program = psutil.Process(pid)
    return next(process.pid for process in [program, *program.children(recursive=True)] if process.name() == name)


def kill_the_supervisor(swarm):
    """With it goes all that it started; the command starts both again."""
    before, at = int(swarm.folder.supervisor_pid.read_text()), swarm.round()
    os.kill(before, signal.SIGKILL)
    swarm.wait("the supervisor again", lambda: Supervisor(swarm.folder).pid() not in (None, before), 60)
    swarm.wait("two more rounds after the supervisor", lambda: swarm.round() >= at + 2, 90)
    assert "supervisord" in [restart.program for restart in read_restarts(swarm.folder.restarts)]


@pytest.mark.timeout(600)
def test_any_process_may_be_killed_and_no_reward_is_lost_or_doubled(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUND_MIN_S", "1")  # the rounds are to last till all are killed
    swarm = Swarm(tmp_path, "killed", rounds=36, peers=2)
    kills = 0
    try:
        swarm.wait("the first rounds", lambda: swarm.round() >= 1, 90)
        for program in PROGRAMS:
            before = swarm.pid(program)
            os.kill(before, signal.SIGKILL)
            kills += 1
            swarm.wait(f"{program} again", lambda p=program, b=before: swarm.pid(p) not in (0, b), 30)
            at = swarm.round()
            swarm.wait(f"two more rounds after {program}", lambda at=at: swarm.round() >= at + 2, 90)
        for program, name in (("p2p", "p2pd"), ("chain", "anvil")):
            os.kill(inner(swarm.pid(program), name), signal.SIGKILL)
            at = swarm.round()
            swarm.wait(f"two more rounds after {name}", lambda at=at: swarm.round() >= at + 2, 90)
        assert len(set(trained(swarm))) == len(trained(swarm)), "a round was trained twice"
        kill_the_supervisor(swarm)
        kills += 1
        summary = swarm.end(300)
    finally:
        swarm.stop()
    print({key: value for key, value in summary.items() if key != "rewards"})
    assert summary["restarts"] >= kills
    on_chain = [(reward["name"], reward["round"]) for reward in summary["rewards"]]
    assert len(set(on_chain)) == len(on_chain) == summary["rewards_on_chain"]
    assert set(trained(swarm)) <= set(on_chain), "a round was trained and its reward lost"
    assert summary["winners_on_chain"] >= len(set(trained(swarm)))
    check_chain(swarm, summary)


@pytest.mark.timeout(300)
def test_without_the_command_that_started_it_a_swarm_goes_on_and_can_be_joined_again(tmp_path):
    swarm = Swarm(tmp_path, "orphan", rounds=12, peers=2)
    try:
        swarm.wait("the first rounds", lambda: swarm.round() >= 1, 90)
        swarm.process.kill()
        swarm.process.wait()
        swarm = Swarm(tmp_path, "orphan", rounds=12, peers=2)
        swarm.wait("the attachment", lambda: "attached" in swarm.out.read_text(), 30)
        summary = swarm.end(150)
    finally:
        swarm.stop()
    assert (summary["restarts"], summary["rounds"], summary["rewards_on_chain"]) == (0, 12, 24)
    check_chain(swarm, summary)
