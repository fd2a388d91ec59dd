"""`rlswarm eval --endpoint`: a model that a server answers for, on the questions that our own models are asked."""

import json
import os
import subprocess
import sys

import pytest

from services.trainer.evaluation.__main__ import arguments_of
from services.trainer.evaluation.endpoint import KEY, Endpoint, sit_at
from services.trainer.evaluation.exam import papers, sit
from services.trainer.games.tasks import Tasks
from shared.errors import SettingsError, SwarmError
from shared.tasks import seed_of
from tests.coordinator_kit import ROOT
from tests.openai_kit import KEY as SECRET
from tests.openai_kit import openai_server


@pytest.fixture(scope="module")
def server():
    with openai_server() as server:
        yield server


@pytest.fixture(autouse=True)
def key(monkeypatch, server):
    monkeypatch.setenv(KEY, SECRET)
    server.faults.clear()
    server.seen.clear()


@pytest.fixture(scope="module")
def tasks(server):
    return Tasks(server.settings.data, seed_of(42, "evaluation"))


def game_of(server):
    return server.settings.game.model_copy(update={"completions": 2})


async def test_a_served_model_gets_the_greedy_marks_that_the_same_model_gets_here(server, tasks):
    questions, game = papers(tasks, 5), game_of(server)
    endpoint = Endpoint(server.url, "embedded", 3, wait_s=0.01)
    server.faults += [500, 429, 503]
    done = []
    there = await sit_at(endpoint, tasks, questions, game, 42, done.append)
    await endpoint.close()
    here = sit(server.policy, tasks, questions, game, 42, lambda _: None)
    assert {name: marks.passed for name, marks in there.items()} == {n: marks.passed for n, marks in here.items()}
    assert any(any(marks.passed) for marks in there.values()), "the embedded model gets some right"
    assert len(done) == sum(map(len, questions.values()))
    assert len(server.seen) == 3 * len(done) + 3, "each fault is asked again, once"
    assert server.busiest <= 3
    assert {one["model"] for one in server.seen} == {"embedded"}


@pytest.mark.parametrize(
    ("change", "error", "cause"),
    [
        ({"faults": [500] * 99}, SwarmError, "does not answer: status 500"),
        ({"key": "wrong"}, SettingsError, r"refuses \(401\)"),
        ({"path": "/v2"}, SettingsError, r"refuses \(404\)"),
        ({"url": "localhost:8000/v1"}, SettingsError, "is no URL"),
        ({"url": "http://127.0.0.1:9/v1"}, SwarmError, "does not answer"),
    ],
)
async def test_a_server_that_says_no_or_nothing_is_one_clear_error(server, monkeypatch, change, error, cause):
    monkeypatch.setenv(KEY, change.get("key", SECRET))
    server.faults += change.get("faults", [])
    url = change.get("url") or server.url.replace("/v1", change.get("path", "/v1"))
    with pytest.raises(error, match=cause) as caught:
        await Endpoint(url, "embedded", 1, wait_s=0.001).answer("1 + 1", game_of(server), None)
    assert SECRET not in str(caught.value)


def rlswarm(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "eval", *arguments, "--questions", "4", "--samples", "2"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160", "DATA_MIX": "easy"},
        capture_output=True,
        text=True,
    )


def test_a_local_model_is_compared_with_a_served_one_as_table_json_and_plot(server, tmp_path):
    there = ("--endpoint", server.url, "--model", "tiny")
    done = rlswarm("embedded", *there, "--out", f"{tmp_path}/found.json", "--plot", f"{tmp_path}/found.svg")
    assert done.returncode == 0, done.stderr
    assert "served pass@1" in done.stdout and "local mean@2" in done.stdout and "gain" in done.stdout
    served, local = json.loads((tmp_path / "found.json").read_text())["models"]
    assert (served["model"], local["model"]) == (f"tiny at {server.url}", "embedded")
    assert served["sets"]["all"]["pass_at_1"] == local["sets"]["all"]["pass_at_1"], "they are the same weights"
    assert (tmp_path / "found.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "nothing to evaluate"),
        (["--endpoint", "http://x/v1"], "--endpoint and --model go together"),
        (["--after", "a", "--before", "b", "--endpoint", "http://x/v1", "--model", "x"], "exclude each other"),
    ],
)
def test_what_is_asked_wrongly_is_said(capsys, arguments, cause):
    with pytest.raises(SystemExit):
        arguments_of(arguments)
    assert cause in capsys.readouterr().err
