"""One model of several: the arithmetic on real safetensors, and real peers' models that are merged and compared."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.publisher.mixture import mix, normalized
from services.publisher.publication import read_publication
from shared.errors import SwarmError
from tests.examples import ALICE, BOB
from tests.publisher_kit import CONTRACT, environment_of, train, trainer_of

ROOT = Path(__file__).parents[2]
FEW = {"PUBLISH_QUESTIONS": "6", "PUBLISH_SAMPLES": "4", "PUBLISH_GGUF": "false"}

pytestmark = pytest.mark.timeout(600)  # several programs, on a machine that others may share


def model(folder, *values, sharded=False):
    """A folder with two tensors of these values."""
    folder.mkdir()
    tensors = {f"layer.{n}": torch.full((2, 3), float(value)) for n, value in enumerate(values)}
    parts = [{name: one} for name, one in tensors.items()] if sharded else [tensors]
    for number, part in enumerate(parts):
        save_file(part, folder / f"model-{number}.safetensors")
    return folder


def mixed(tmp_path, parents, **how):
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    mix(parents, how.pop("weights", []), out, **how)
    return [float(one[0, 0]) for _, one in sorted(load_file(out / "model.safetensors").items())]


def test_a_mean_and_a_sum_of_changes(tmp_path):
    one, two = model(tmp_path / "one", 1, 4), model(tmp_path / "two", 3, 0, sharded=True)
    base = model(tmp_path / "base", 1, 1)
    assert mixed(tmp_path, [one, two]) == [2.0, 2.0]
    assert mixed(tmp_path, [one, two], weights=[3, 1]) == [1.5, 3.0]
    assert mixed(tmp_path, [one, two], base=base) == [3.0, 3.0], "1 + 0 + 2, and 1 + 3 - 1"
    assert mixed(tmp_path, [one, two], base=base, scale=0.5) == [2.0, 2.0], "half of both is their mean"


def test_what_is_not_alike_is_not_mixed(tmp_path):
    one, wide, none = model(tmp_path / "one", 1, 2), model(tmp_path / "wide", 1, 2, 3), tmp_path / "none"
    none.mkdir()
    with pytest.raises(SwarmError, match=r"differ in layer\.2"):
        mixed(tmp_path, [one, wide])
    with pytest.raises(SwarmError, match="no safetensors"):
        mixed(tmp_path, [one, none])
    for weights in ([1.0], [1.0, -1.0], [0.0, 0.0]):
        with pytest.raises(SwarmError, match="as many weights"):
            normalized(weights, 2)


def run(state, module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"services.publisher.{module}", *map(str, arguments)],
        check=False,
        cwd=ROOT,
        env=environment_of(state, **FEW),
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def parents(tmp_path_factory):
    """Two peers' models, published as folders, that have learnt a little of the same."""
    state = tmp_path_factory.mktemp("peers")
    for peer in (ALICE, BOB):
        asyncio.run(train(trainer_of(state, peer, "learner.learning_rate=0.0004"), 10))
        done = run(state, "build", "--peer", peer, "--out", state / peer)
        assert done.returncode == 0, done.stderr
    return state, [state / ALICE, state / BOB]


def test_peers_models_are_merged_and_kept_if_that_is_better(parents):
    state, folders = parents
    done = run(state, "merge", *folders, "--out", state / "merged", "--method", "task-arithmetic")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("beside ") == 2 and done.stdout.strip() == str(state / "merged")
    told = read_publication(state / "merged")
    scores = [read_publication(folder).score for folder in folders]
    assert told.score > max(scores) and len(told.parents) == 2
    assert told.lineage.own == sum(read_publication(folder).lineage.own for folder in folders)
    card = (state / "merged" / "README.md").read_text()
    assert "The weights are made of those of the peers" in card and CONTRACT in card
    assert json.loads((state / "merged" / "config.json").read_text())["model_type"] == "qwen3"
    assert not [path for path in state.iterdir() if path.name.startswith(".merged")]


def test_what_is_not_better_is_taken_away(parents):
    state, folders = parents
    done = run(state, "merge", folders[0], folders[0], "--out", state / "same")
    assert (done.returncode, "nothing is kept" in done.stderr) == (3, True), done.stderr
    assert not (state / "same").exists()


def test_what_cannot_be_merged_is_one_line(parents, tmp_path):
    state, folders = parents
    for given, cause in (([folders[0]], "1 models of 1 bases"), ([folders[0], tmp_path], "not published by this")):
        done = run(state, "merge", *given, "--out", state / "none")
        assert (done.returncode, cause in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
