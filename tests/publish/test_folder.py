"""A repository's folder from a real checkpoint: the dry run, what is damaged, what is pruned meanwhile."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from services.local.folder import Plan, RunFolder
from services.publisher.found import hold, newest
from services.publisher.publication import read_publication
from services.trainer.model.choice import EMBEDDED
from shared.checkpoints import ORIGIN, PROGRESS, TENSORS, Standing
from shared.names import name_of
from tests.examples import ALICE, BOB
from tests.hub_server import hub_server
from tests.publisher_kit import CONTRACT, environment, train, trainer_of

ROOT = Path(__file__).parents[2]
ROUNDS = 3
pytestmark = pytest.mark.timeout(600)  # several programs, on a machine that others may share


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder with a peer that trained for a few rounds."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "first")
    folder.create()
    told = {"name": "first", "peers": 1, "rounds": 1, "model": None, "ports": {}, "own_redis": False, "own_chain": True}
    ports = {name: 1 for name in ("judge", "identity", "signer", "p2p", "chain")}
    folder.write_plan(Plan(**{**told, "ports": ports}, started_at=0.0))
    asyncio.run(train(trainer_of(folder.state), ROUNDS))
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy, for what a test does to it."""
    return RunFolder(shutil.copytree(trained.root, tmp_path / "first"))


@pytest.fixture(scope="module")
def repository(trained):
    """The folder of a dry run."""
    done = published(trained, PUBLISH_STATE="true")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def published(run, *options, **environ):
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "publish", "--name", run.root.name, "--dry-run", *options],
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "RUNS_DIR": str(run.root.parent),
            "PUBLISH_QUESTIONS": "3",
            "PUBLISH_SAMPLES": "2",
            **environ,
        },
        capture_output=True,
        text=True,
    )


def test_a_dry_run_is_the_whole_repository_on_this_disk(trained, repository):
    run, folder = trained, repository
    assert folder == run.published / f"rlswarm-embedded-Gensyn-Swarm-{name_of(ALICE, '_')}"
    names = {path.name for path in folder.iterdir()}
    assert names >= {"README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert names >= {"curves.png", "rlswarm.json", "tokenizer_config.json", "training"}
    left = {path.name for path in run.published.iterdir()} - {folder.name}
    assert left == {f".{folder.name}.lock"}, "nothing half made"
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644

    card = ModelCard.load(folder / "README.md")
    text = card.content
    for known in (ALICE, CONTRACT, "Round".lower(), "dr_grpo", "![rewards", "torch", "lcm", "gain", "bfloat16"):
        assert known in text, known
    assert (card.data.license, card.data.base_model) == ("apache-2.0", None)
    assert len(card.data.eval_results) == 2 * 6, "two figures for each of five sets, and for all"
    told = read_publication(folder)
    assert (told.peer, told.round, told.step, told.model) == (ALICE, ROUNDS - 1, ROUNDS, "embedded")
    assert told.lineage.own > 0 and told.score is not None

    checkpoint = newest(run.state)[0].step
    for name in (TENSORS, PROGRESS):
        assert (folder / "training" / name).read_bytes() == (checkpoint / name).read_bytes()


def test_the_published_weights_are_the_checkpoints_and_answer(run, repository):
    model = AutoModelForCausalLM.from_pretrained(repository)
    trained = trainer_of(run.state).policy.model  # from its newest checkpoint
    base = AutoModelForCausalLM.from_pretrained(EMBEDDED)
    moved = 0
    for (name, weight), own, old in zip(model.named_parameters(), trained.parameters(), base.parameters(), strict=True):
        assert torch.equal(weight, own.to(torch.bfloat16)), name
        moved += int(not torch.equal(weight, old))
    assert moved, "and they are others than those it began from"
    assert GenerationConfig.from_pretrained(repository).eos_token_id == 1000
    tokenizer = AutoTokenizer.from_pretrained(repository)
    chat = [{"role": "user", "content": "Calculate 3 * 7."}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert "<answer>" in tokenizer.decode(model.generate(**prompt, max_new_tokens=32, do_sample=False)[0])


def test_without_dry_run_the_folder_is_uploaded_too(run):
    told = {"RUNS_DIR": str(run.root.parent), "PUBLISH_QUESTIONS": "2", "PUBLISH_SAMPLES": "2", "PUBLISH_GGUF": "false"}
    with hub_server() as hub:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "publish", "--name", run.root.name],
            check=False,
            cwd=ROOT,
            env=environment(hub, **told),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        name = json.loads(done.stdout)["repository"]
        assert hub.repositories[name].files["README.md"] == next(run.published.glob("*/README.md")).read_bytes()


def test_what_cannot_be_published_is_one_line_and_leaves_the_folder_before(run):
    out = run.root / "out"
    out.mkdir()
    (out / "README.md").write_text("before")
    step = newest(run.state)[0].step
    with (step / TENSORS).open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"rust")
    done = published(run, "--out", str(out))
    assert (done.returncode, "damaged" in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
    assert (out / "README.md").read_text() == "before"
    none = published(run, "--peer", BOB)
    assert (none.returncode, "no checkpoint" in none.stderr) == (1, True)


def test_an_evaluation_that_fails_is_told_and_costs_only_its_table(run):
    origin = next(run.state.glob(f"checkpoints/*/*/{ORIGIN}"))
    told = json.loads(origin.read_text())
    told["data"]["name"] = "nowhere"
    origin.write_text(json.dumps(told))
    done = published(run, "--out", str(run.root / "out"))
    assert done.returncode == 0, done.stderr
    card = (run.root / "out" / "README.md").read_text()
    assert "Not evaluated: the evaluation ended with 2" in card and "model-index" not in card
    assert read_publication(run.root / "out").score is None


def test_the_newest_is_found_and_stays_while_it_is_read(run, tmp_path):
    trainer = trainer_of(run.state)
    found = newest(run.state)[0]
    assert (found.peer, found.standing.round, found.standing.chain_id) == (ALICE, ROUNDS - 1, 685685)
    held = hold(found, tmp_path / "held")
    asyncio.run(train(trainer, 3, first=ROUNDS))
    assert not found.step.exists(), "the trainer has pruned it"
    assert Standing.model_validate_json((held / PROGRESS).read_text()) == found.standing
    assert newest(run.state)[0].standing.round == ROUNDS + 2
    with pytest.raises(FileNotFoundError):
        hold(found, tmp_path / "late")
    assert newest(run.state, BOB) == []


def test_what_is_no_checkpoint_is_left_out(run):
    model = newest(run.state)[0].step.parent
    broken = model.parents[1] / BOB / "embedded"
    shutil.copytree(model, broken)
    for progress in broken.glob(f"*/{PROGRESS}"):
        progress.write_text("{")
    (model.parents[1] / BOB / "other").mkdir()
    shutil.copy(model / ORIGIN, model.parents[1] / BOB / "other")
    assert [one.peer for one in newest(run.state)] == [ALICE]
