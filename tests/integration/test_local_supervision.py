"""A real supervisord that runs small real programs, and what happens when they, or it, are killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.local.conf import render
from services.local.folder import MARK, Plan, RunFolder
from services.local.orphans import recorded, sweep
from services.local.processes import born, lives, of_run
from services.local.programs import Program, environment, programs
from services.local.restarts import read_restarts
from services.local.settings import local_settings
from services.local.summary import Summary
from services.local.supervisor import Supervisor
from services.local.up import Asked, Prepared, down, only_one, prepare, up
from services.local.watch import ServiceFailed, Watch, check, follow
from shared.errors import SwarmError
from shared.household import SwarmState, put_swarm_state
from shared.messages import Reward, Settled
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import LEDGER
from tests.conftest import free_port

SLEEP = "import time; print('here', flush=True); time.sleep(600)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); {SLEEP}"
CHAIN = f"""
import pathlib, signal, subprocess, sys, time
told = pathlib.Path(sys.argv[1])
child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}])
def stop(*_):
    time.sleep(1)
    told.write_text('in order' if child.poll() is None else 'torn')
    child.terminate()
    sys.exit()
signal.signal(signal.SIGTERM, stop)
told.write_text('up')
signal.pause()
"""
SAID = "import sys; print('the disk is full', file=sys.stderr); sys.exit({code})"
PEER = "Qm" + "a" * 44
SETTINGS = local_settings().model_copy(update={"settled_s": 1, "start_retries": 1})


def python(name, code, group=""):
    return Program(name, (sys.executable, "-c", code), 10, group)


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("did not come about in time")


class Run:
    """A run of a few programs; `start` does what `prepare` and `up` do with a whole swarm."""

    def __init__(self, root, settings=SETTINGS):
        self.folder = RunFolder(root)
        self.folder.create()
        self.supervisor = Supervisor(self.folder)
        self.settings = settings
        names = ("identity", "signer", "judge", "p2p", "redis", "chain")
        self.plan = Plan(
            name="demo",
            peers=1,
            rounds=3,
            model=None,
            ports=dict.fromkeys(names, 1) | {"redis": free_port(), "health:trainer-0": 1},
            own_redis=True,
            own_chain=True,
            started_at=time.time(),
        )
        self.environment = environment(self.plan, self.folder, os.environ)

    def configure(self, *parts, redis=False):
        found = list(parts)
        if redis:
            health = {f"health:{name}": 1 for name in ("coordinator", "identity", "judge", "p2p")}
            plan = self.plan.model_copy(update={"ports": self.plan.ports | health})
            found.insert(0, programs(plan, self.folder, None)[0])
        self.folder.supervisor_conf.write_text(render(self.folder, found, self.settings))
        return self

    def start(self, *parts):
        self.configure(*parts).supervisor.start(self.environment)
        return self

    def prepared(self):
        self.folder.write_plan(self.plan)
        return Prepared(self.folder, self.plan, self.supervisor, self.environment, False, [])

    def program(self, name):
        return next((p for p in self.supervisor.programs() or [] if p.name == name), None)

    def pid(self, name):
        found = self.program(name)
        return found.pid if found and found.state in ("STARTING", "RUNNING") else 0

    def restarts(self):
        return read_restarts(self.folder.restarts)


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "demo")
    yield run
    down(run.folder)
    assert of_run(run.folder.root) == set()


def test_a_killed_program_is_started_again_and_counted(run):
    run.settings = SETTINGS.model_copy(update={"start_retries": 5})
    run.start(python("judge", SLEEP, "services"))
    for count in (1, 2):
        first = until(lambda: run.pid("judge"))
        os.kill(first, signal.SIGKILL)
        second = until(lambda first=first: run.pid("judge") not in (0, first) and run.pid("judge"))
        assert second != first
        until(lambda count=count: len(run.restarts()) == count)
    last = run.restarts()[-1]
    assert (last.program, last.count, last.cause) == ("judge", 2, "terminated by SIGKILL")


def test_a_killed_programs_children_die_too(run):
    run.start(python("p2p", PARENT))
    parent = until(lambda: run.pid("p2p"))
    until(lambda: "p2p" in recorded(run.folder))
    child = until(lambda: [p for p in of_run(run.folder.root) if p.pid != parent and os.getpgid(p.pid) == parent])[0]
    os.kill(parent, signal.SIGKILL)
    until(lambda: not lives(child))
    until(lambda: run.pid("p2p") not in (0, parent))


def test_a_stopped_programs_children_die_too(run):
    run.start(python("p2p", PARENT))
    parent = until(lambda: run.pid("p2p"))
    child = until(lambda: [p for p in of_run(run.folder.root) if p.pid != parent and os.getpgid(p.pid) == parent])[0]
    assert down(run.folder)
    assert not lives(child)
    assert not down(run.folder)


@pytest.mark.parametrize("killed", [False, True])
def test_who_ends_its_own_children_is_left_to_it_also_by_two_who_stop_the_run(run, killed):
    told = run.folder.root / "told"
    run.start(Program("chain", (sys.executable, "-c", f"exec({CHAIN!r})", str(told)), 10))
    until(lambda: told.exists() and "chain" in recorded(run.folder))
    if killed:
        os.kill(run.supervisor.pid(), signal.SIGKILL)
        until(lambda: not run.supervisor.alive())
    with ThreadPoolExecutor() as two:
        assert any(two.map(down, [run.folder] * 2))
    assert told.read_text() == "in order"


def test_done_and_bad_settings_are_not_started_again(tmp_path, run):
    run.settings = SETTINGS.model_copy(update={"settled_s": 30, "start_retries": 5})
    run.start(python("trainer-0", SAID.format(code=0), "trainers"), python("judge", SAID.format(code=2)))
    until(lambda: run.program("trainer-0").state == run.program("judge").state == "STOPPED")
    time.sleep(1.5)
    assert run.restarts() == []
    with pytest.raises(ServiceFailed, match=r"judge was given its settings.*the disk is full.*judge\.log"):
        check(run.supervisor.programs(), run.folder)


def test_a_crash_loop_ends_the_run_with_the_services_last_words(run):
    run.settings = SETTINGS.model_copy(update={"settled_s": 10})
    run.configure(python("redis", SLEEP), python("coordinator", SAID.format(code=1), "services"))
    with pytest.raises(ServiceFailed, match=r"coordinator died again and again \(exit status 1\).*the disk is full"):
        up(run.prepared(), lambda _: None)
    assert not run.supervisor.alive()
    assert [r.program for r in run.restarts()] == ["coordinator"]


def test_a_program_that_cannot_be_started_is_reported_too(run):
    run.configure(Program("chain", ("/no/such/anvil",), 1))
    with pytest.raises(ServiceFailed, match=r"chain died again and again .*anvil"):
        up(run.prepared(), lambda _: None)


async def test_a_killed_supervisord_is_started_again_and_leaves_no_orphans(run):
    run.configure(python("judge", PARENT), redis=True).supervisor.start(run.environment)
    pid = await asyncio.to_thread(until, lambda: run.pid("judge"))
    await asyncio.to_thread(until, lambda: "redis" in recorded(run.folder) and len(of_run(run.folder.root)) >= 4)
    before = of_run(run.folder.root)
    os.kill(run.supervisor.pid(), signal.SIGKILL)
    watch = Watch(run.folder, run.plan, run.environment["REDIS_URL"])
    async for snapshot in follow(watch, run.supervisor, run.folder, run.environment, every_s=0.2):
        # Not before they run: a signal that comes between supervisord's fork and exec is lost.
        if snapshot.restarts and all(service.process == "RUNNING" for service in snapshot.services):
            break
    await watch.close()
    assert run.pid("judge") != pid
    assert not any(lives(process) for process in before)
    assert run.restarts()[0].program == "supervisord"


def test_a_program_dead_for_good_stops_and_a_pid_that_lives_anew_is_left_alone(run):
    other = subprocess.Popen([sys.executable, "-c", SLEEP])
    try:
        now = born(other.pid)
        run.folder.pids.write_text(f'{{"judge": [{other.pid}, {now.created - 60}]}}')
        assert sweep(run.folder) == 0
        assert other.poll() is None
        run.folder.pids.write_text(f'{{"judge": [{other.pid}, {now.created}]}}')
        assert sweep(run.folder) == 1
        assert other.wait(5) == -signal.SIGTERM
    finally:
        other.kill()


def test_what_an_earlier_start_left_is_ended_by_its_mark(run):
    told = {**os.environ, MARK: str(run.folder.root)}
    left = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.signal(15, signal.SIG_IGN);" + SLEEP], env=told
    )
    until(lambda: of_run(run.folder.root))
    time.sleep(0.3)
    assert sweep(run.folder) == 1
    assert left.wait(5) == -signal.SIGKILL


def test_a_run_that_goes_on_headless_is_attached_to(run, monkeypatch):
    run.start(python("judge", SLEEP))
    run.folder.write_plan(run.plan)
    pid = until(lambda: run.pid("judge"))
    prepared = prepare(run.folder, Asked(), run.settings)
    assert prepared.attached
    assert "attached" in prepared.notes[0]
    assert run.pid("judge") == pid
    assert prepared.supervisor.alive()


def test_two_cannot_look_after_one_run(run):
    with only_one(run.folder), pytest.raises(SwarmError, match="another `rlswarm up`"), only_one(run.folder):
        pass
    with only_one(run.folder):
        pass


def test_a_finished_run_is_summed_up_and_stopped(run):
    run.configure(python("trainer-0", SAID.format(code=0), "trainers"), redis=True)
    seen = []

    def show(snapshot):
        seen.append(snapshot)
        if len(seen) == 1:
            asyncio.run_coroutine_threadsafe(finish(run.environment["REDIS_URL"]), asyncio.get_running_loop())

    summary = up(run.prepared(), show)
    assert isinstance(summary, Summary)
    assert (summary.rewards_on_chain, summary.reward_last10, summary.contract) == (1, 0.25, "0xc")
    assert Summary.model_validate_json(run.folder.summary.read_text()) == summary
    assert not run.supervisor.alive()
    assert seen[-1].finished


async def finish(url):
    client = connect(url)
    reward = Reward(peer_id=PEER, round=1, stage=0, points=250)
    await RedisQueue(client).publish(LEDGER, Settled(submission=reward, outcome="landed", transaction="0xt", block=1))
    state = SwarmState(
        chain_id=1,
        contract="0xc",
        account="0xa",
        block=1,
        round=3,
        stage=0,
        registered_peers=1,
        rewards_settled=1,
        winners_settled=0,
        finished=True,
    )
    await put_swarm_state(RedisStore(client), state)
    await client.aclose()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(run, sig):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in a shell's background begin with it ignored
    run.configure(python("judge", SLEEP), redis=True)
    summary = up(run.prepared(), lambda _: os.kill(os.getpid(), sig))
    assert summary is None
    assert not run.supervisor.alive()
    assert not run.folder.summary.exists()


async def test_down_ends_what_follows_the_run(run):
    run.start(python("judge", SLEEP))
    watch = Watch(run.folder, run.plan, "redis://127.0.0.1:1/0")
    await asyncio.to_thread(down, run.folder)
    assert [snapshot async for snapshot in follow(watch, run.supervisor, run.folder, run.environment)] == []
    await watch.close()
