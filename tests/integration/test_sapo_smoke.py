"""The SAPO study in small, on the real model: swarms in one process, written down, gone on with, reported."""

import json

import pytest

from benchmarks.sapo.conductor import conduct_all
from benchmarks.sapo.report import plot, tables, write_rows
from benchmarks.sapo.run import conduct
from benchmarks.sapo.study import Run, read_study

SMALL = {"nodes": 2, "rounds": 2, "exam_questions": 2, "fit_steps": 2}
STUDY = read_study().model_copy(update={"smoke": read_study().smoke.model_copy(update=SMALL)}).small()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sapo")


def test_a_study_is_run_once_and_reported_from_what_was_written_down(folder):
    runs = [Run("uneven", "8/0", 1), Run("uneven", "4/4", 1), Run("sparse", "4/4 replay", 1)]
    rows = conduct_all(STUDY, runs, folder, workers=1)
    (diary,) = folder.glob("*.jsonl")
    diary.write_text(diary.read_text() + '{"cut off by')
    assert conduct_all(STUDY, runs, folder, workers=1) == rows

    write_rows(rows, folder / "sapo.json")
    (alone, shared, _) = json.loads((folder / "sapo.json").read_text())
    assert {"regime", "pick", "local", "external", "seed", "cumulative_reward", "generated_tokens"} <= alone.keys()
    assert sum(alone["external_groups"]) == 0 < sum(shared["external_groups"])
    assert shared["generated_tokens"] < alone["generated_tokens"]
    plot(rows, STUDY, folder / "sapo.svg")
    assert (folder / "sapo.svg").read_text().count("<svg") == 1
    assert "| 4/4 | 1 |" in tables(rows, STUDY)


def test_the_same_run_gives_the_same_row(folder):
    run = Run("dense", "4/4", 1)
    assert conduct(STUDY, run, folder) == conduct(STUDY, run, folder)
