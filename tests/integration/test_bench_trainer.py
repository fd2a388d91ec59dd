"""The benchmark of the trainer, ours alone: the other engines need minutes and a package index."""

import json
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import trainer
from benchmarks.trainer import EMBEDDED, measure, row
from benchmarks.trainer_peers import material
from benchmarks.trainer_peers.environment import Missing
from benchmarks.trainer_peers.shown import DOCUMENT, RESULTS, document
from benchmarks.trainer_peers.task import parity, scorer

FEW = replace(EMBEDDED, threads=(1,), trial=0, warm_up=1, rounds=2)


def test_the_page_shows_the_results():
    rows = json.loads(RESULTS.read_text())["rows"]
    assert document(rows, DOCUMENT.read_text()) == DOCUMENT.read_text()


def test_our_rounds_are_measured_and_an_engine_that_cannot_be_had_is_named(monkeypatch):
    def python_of(engine):
        if engine == "genrl":
            raise Missing("no index")
        return Path(sys.executable)

    monkeypatch.setattr(trainer, "python_of", python_of)
    (score,), skipped = measure(FEW, ("ours", "genrl"))
    assert skipped == {"genrl": "no index"}
    shown = row(FEW, score)
    assert shown["repetitions"] == 2 and shown["threads"] == 1
    assert 60 < shown["rounds_per_minute"] < 60_000
    assert shown["generation_s"] < shown["round_s"]
    assert 100 < shown["peak_rss_mib"] < 2000
    assert 64 < shown["tokens"] <= 8 * 8 * 64


def test_an_engine_that_breaks_is_out_with_its_last_words(monkeypatch):
    monkeypatch.setattr(trainer, "python_of", lambda engine: Path(sys.executable))
    broken = replace(FEW, mix="nine", model=lambda folder: folder / "nothing", name="none")
    scores, skipped = measure(broken, ("ours",))
    assert scores == []
    assert "MODEL_NAME" in skipped["ours"] or "nothing" in skipped["ours"]


def test_the_words_of_the_large_model_come_back_as_they_were():
    tokenizer = material.words(100)
    ids = [*range(4, 100), 7, 7]
    assert tokenizer(tokenizer.decode(ids)).input_ids == ids


def test_parity_differs_within_a_group_and_follows_from_the_text():
    rewards = [parity(f"w{number}") for number in range(8)]
    assert len(set(rewards)) > 4 and min(rewards) >= 0 and max(rewards) <= 1
    assert rewards == [parity(f"w{number}") for number in range(8)]


def test_the_engines_score_with_reasoning_gyms_own_verifier(tmp_path):
    path = material.questions(tmp_path / "rounds.json", "easy", 2, 1)
    asked = json.loads(path.read_text())[0][0]
    score = scorer(trainer.task_of(EMBEDDED, tmp_path, path))
    assert score(asked, f"<answer>{asked['answer']}</answer>") == 1
    assert score(asked, asked["answer"]) == 0
