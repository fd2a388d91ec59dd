"""`rlswarm eval`: a model and a checkpoint of it, on questions that no training asks."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.cli.evaluate import located
from services.local.folder import Plan, RunFolder
from services.trainer.evaluation.exam import Marks, papers
from services.trainer.evaluation.kept import kept_or_new
from services.trainer.games.tasks import Tasks
from services.trainer.loop import Trainer
from services.trainer.settings import TrainerSettings
from shared.errors import SwarmError
from shared.health import Health
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.tasks import Mix, TaskSet, is_held_out
from tests.examples import ALICE, BOB, QUESTION

ROOT = Path(__file__).parents[2]


def rlswarm(runs, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "eval", *arguments, "--questions", "4", "--samples", "2"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "RUNS_DIR": str(runs), "COLUMNS": "160", "DATA_MIX": "easy"},
        capture_output=True,
        text=True,
    )


@pytest.fixture
async def runs(tmp_path):
    """A folder of runs with one that trained for four rounds."""
    folder = RunFolder(tmp_path / "first")
    folder.create()
    told = {"name": "first", "peers": 1, "rounds": 1, "model": None, "ports": {}, "own_redis": True, "own_chain": True}
    folder.write_plan(Plan(**told, started_at=0.0))
    given = [
        f"state_dir={folder.state}",
        "policy.model=embedded",
        "exchange_patience_s=0",
        "learner.learning_rate=0.01",
    ]
    trainer = Trainer(
        load("trainer", TrainerSettings, given),
        Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60)),
        ALICE,
    )
    for number in range(4):
        await trainer.play(Round(number=number, stage=0, opened_at=time.time(), deadline=time.time() + 20))
    return tmp_path


async def test_a_run_is_compared_with_what_it_began_from_as_table_json_and_plot(runs):
    done = rlswarm(runs, "first", "--before", "embedded", "--out", f"{runs}/found.json", "--plot", f"{runs}/found.svg")
    assert done.returncode == 0, done.stderr
    assert "before pass@1" in done.stdout and "after mean@2" in done.stdout and "gain" in done.stdout
    found = json.loads((runs / "found.json").read_text())
    before, after = found["models"]
    assert (before["model"], Path(after["model"]).parents[1].name) == ("embedded", ALICE)
    assert set(after["sets"]) == {*Tasks(load("trainer", TrainerSettings, ["data=easy"]).data, 1).names, "all"}
    assert before["sets"]["all"] != after["sets"]["all"], "the checkpoint's weights are other ones"
    for name, line in after["sets"].items():
        assert 0 <= line["pass_at_1"]["low"] <= line["pass_at_1"]["value"] <= line["pass_at_1"]["high"] <= 1
        grown = line["mean_at_k"]["value"] - before["sets"][name]["mean_at_k"]["value"]
        assert found["gain"][name]["value"] == pytest.approx(grown)
    assert (runs / "found.svg").read_text().lstrip().startswith("<?xml")
    again = rlswarm(runs, "first", "--before", "embedded", "--json")
    assert json.loads(again.stdout) == found, "the same seed, the same answers"


async def test_which_checkpoint_a_name_means_and_what_is_none(runs):
    path, base = located(runs, "first")
    assert (Path(path).name, Path(path).parents[1].name, base) == ("0000000004", ALICE, "embedded")
    assert located(runs, f"first/{ALICE}") == (path, base)
    assert located(runs, f"first/{BOB}") == (f"first/{BOB}", "")
    assert located(runs, "Qwen/Qwen3-0.6B") == ("Qwen/Qwen3-0.6B", "")
    empty = RunFolder(runs / "second")
    empty.create()
    empty.write_plan(RunFolder(runs / "first").read_plan())
    with pytest.raises(SwarmError, match="no checkpoint yet"):
        located(runs, "second")


def break_file(path):
    path.write_bytes(b"broken")


async def test_what_cannot_be_evaluated_is_one_line(runs):
    path, _ = located(runs, "first")
    break_file(Path(path, "tensors.safetensors"))
    for arguments, cause in (([path], "cannot be used"), (["embedded", "--mix", "nothing"], "nothing")):
        done = rlswarm(runs, *arguments)
        assert (done.returncode, cause in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def test_papers_are_distinct_held_out_and_of_few_questions_as_many_as_there_are():
    small = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1, "operators": ["+"]}
    few = TaskSet(
        name="basic_arithmetic", weight=1, config={**small, "allow_parentheses": False, "allow_negation": False}
    )
    tasks = Tasks(Mix(name="m", datasets=(few, TaskSet(name="lcm", weight=1))), 2)
    asked = papers(tasks, 40)
    assert len(asked["lcm"]) == 40 > len(asked["basic_arithmetic"]) > 0
    for questions in asked.values():
        assert len({question.text for question in questions}) == len(questions)
        assert all(is_held_out(question.text) for question in questions)
    assert papers(tasks, 40) == asked


def test_the_marks_of_the_model_before_are_kept_and_asked_for_again_where_anything_differs(tmp_path):
    game = load("trainer", TrainerSettings, ["policy.model=embedded"]).game
    asked, sat = {"lcm": [QUESTION]}, []

    def answering():
        sat.append(True)
        return {"lcm": Marks((True,), (0.5,))}

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")

    def marks(folder=tmp_path / "kept", model=str(tmp_path / "model"), questions=asked, seed=1):
        found = kept_or_new(folder, model, questions, game, seed, answering)
        assert found == {"lcm": Marks((True,), (0.5,))}
        return len(sat)

    assert [marks(), marks(), marks(folder=None)] == [1, 1, 2]
    assert [marks(seed=2), marks(model="other"), marks(questions={"lcm": []}), marks()] == [3, 4, 5, 5]
    (tmp_path / "model" / "config.json").write_text("{ }")
    assert marks() == 6, "its files are others"
    for path in (tmp_path / "kept").iterdir():
        path.write_text("{")
    assert [marks(), marks()] == [7, 7], "what cannot be read is made anew"
