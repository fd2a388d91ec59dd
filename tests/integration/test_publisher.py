"""The publisher against a hub on this machine, driven by the hub's own client: uploads, faults, tokens, restarts."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.publisher.names import repositories
from services.publisher.publication import Publication
from shared.checkpoints import Lineage
from shared.names import name_of
from tests.examples import ALICE, BOB
from tests.hub_server import READ, Repository, hub_server
from tests.publisher_kit import train, trainer_of

ROOT = Path(__file__).parents[2]
REFUSED, AWAY = 3, 4
NAME = f"rlswarm-embedded-Gensyn-Swarm-{name_of(ALICE, '_')}"


@pytest.fixture
def hub():
    with hub_server() as served:
        yield served


@pytest.fixture
def folder(tmp_path):
    """A repository's folder, as the program that makes them leaves it, with a file of several parts."""
    folder = tmp_path / "folder"
    folder.mkdir()
    told = Publication(
        peer=ALICE, name=name_of(ALICE), swarm="home", chain_id=1, contract=None, model="embedded", round=7, step=8,
        sha256="", mix="easy", score=0.5, lineage=Lineage(),
    )  # fmt: skip
    (folder / "rlswarm.json").write_text(told.model_dump_json())
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# A card\n")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 4_000)
    return folder


def environment(hub, **changes):
    """What a process is told: the hub here, and no token that this machine may have."""
    told = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret", "HUGGINGFACE_ACCESS_TOKEN": "", "HF_HUB_OFFLINE": "0"}
    return {**os.environ, **told, **changes}


def upload(hub, folder, *options, **changes):
    command = [sys.executable, "-m", "services.publisher.upload", str(folder), "--patience=20", *options]
    return subprocess.run(
        command, check=False, cwd=ROOT, env=environment(hub, **changes), capture_output=True, text=True
    )


def test_a_folder_becomes_one_commit_under_the_peers_name(hub, folder):
    done = upload(hub, folder)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["repository"] == f"me/{NAME}"
    repository = hub.repositories[f"me/{NAME}"]
    assert repository.commits == [(told["commit"], f"rl-swarm: round 7, agent {name_of(ALICE)}")]
    for path in folder.iterdir():
        assert repository.files[path.name] == path.read_bytes(), path
    assert not repository.private
    assert "hf_secret" not in done.stdout + done.stderr


def test_the_next_upload_sends_only_what_changed_and_takes_away_what_is_gone(hub, folder):
    (folder / "model-Q4_K_M.gguf").write_bytes(b"old")
    assert upload(hub, folder).returncode == 0
    sent = hub.received
    (folder / "model-Q4_K_M.gguf").unlink()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# Another card\n")
    assert upload(hub, folder).returncode == 0
    repository = hub.of(NAME)
    assert (hub.received, len(repository.commits)) == (sent, 2)
    assert b"Another" in repository.files["README.md"] and "model-Q4_K_M.gguf" not in repository.files
    assert ".gitattributes" in repository.files
    assert upload(hub, folder).returncode == 0 and len(repository.commits) == 2, "nothing new is no commit"


def test_a_private_repository_is_made_private_and_an_organisations_is_its_own(folder):
    with hub_server(orgs=("ours",)) as hub:
        assert upload(hub, folder, PUBLISH_PRIVATE="true", PUBLISH_OWNER="ours").returncode == 0
        assert hub.repositories[f"ours/{NAME}"].private


def test_the_other_name_of_the_token_is_good_too_and_none_is_none(hub, folder):
    for nothing in ("", "None"):
        assert upload(hub, folder, HF_TOKEN=nothing, HUGGINGFACE_ACCESS_TOKEN="hf_secret").returncode == 0
        none = upload(hub, folder, HF_TOKEN=nothing, HUGGINGFACE_ACCESS_TOKEN=nothing)
        assert (none.returncode, "no token" in none.stderr) == (2, True)


@pytest.mark.parametrize(
    ("route", "how", "times"),
    [
        ("/commit/", 500, 1),
        ("/lfs/", "cut", 1),
        ("/preupload/", 503, 1),
        ("/repos/create", 502, 1),
        ("whoami", "cut", 1),
        ("/objects/batch", 429, 1),
    ],
)
def test_what_passes_by_itself_is_tried_again(hub, folder, route, how, times):
    hub.fail(route, how, times)
    done = upload(hub, folder)
    assert done.returncode == 0, done.stderr
    assert hub.of(NAME).files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(hub.of(NAME).commits) == 1


def test_a_limit_on_requests_is_kept_to_for_as_long_as_it_says(hub, folder):
    hub.fail("whoami", 429, 1, Retry_After="4")
    began = time.monotonic()
    assert upload(hub, folder).returncode == 0
    assert time.monotonic() - began >= 4
    assert hub.uploads("GET", "whoami") == 2


def test_a_hub_that_stays_away_is_given_up_and_what_had_arrived_is_not_sent_again(hub, folder):
    hub.fail("/commit/", 400, 1)
    first = upload(hub, folder)
    assert (first.returncode, "does not take it" in first.stderr) == (1, True)
    sent = hub.received
    assert sent >= (folder / "model.safetensors").stat().st_size
    assert upload(hub, folder).returncode == 0
    assert hub.received == sent, "the large file was there already"
    hub.server.shutdown(), hub.server.server_close()
    gone = upload(hub, folder, "--patience=1")
    assert (gone.returncode, "cannot be reached" in gone.stderr) == (AWAY, True), gone.stderr
    assert "Traceback" not in gone.stderr


def test_an_upload_that_is_killed_goes_on_where_it_was(hub, folder):
    hub.fail("/commit/", "cut", 100)
    command = [sys.executable, "-m", "services.publisher.upload", str(folder)]
    child = subprocess.Popen(command, cwd=ROOT, env=environment(hub), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not hub.uploads("POST", "/commit/") and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill(), child.wait()
    sent, hub.faults[:] = hub.received, []
    assert upload(hub, folder).returncode == 0
    assert hub.received == sent


def test_a_token_that_may_not_write_is_refused_in_one_line(folder):
    with hub_server(scope=READ) as hub:
        done = upload(hub, folder)
        assert (done.returncode, "read-only" in done.stderr, hub.repositories) == (REFUSED, True, {})
        assert len(done.stderr.strip().splitlines()) == 1
        hub.tokens.clear()  # it has expired
        done = upload(hub, folder)
        assert (done.returncode, "does not know the token" in done.stderr) == (REFUSED, True)


def test_a_repository_of_another_peer_or_of_something_else_is_never_overwritten(hub, folder):
    first, second = repositories("me", "embedded", "Gensyn-Swarm", ALICE)
    others = Publication.model_validate_json((folder / "rlswarm.json").read_text()).model_copy(update={"peer": BOB})
    hub.repositories[first] = Repository(files={"rlswarm.json": others.model_dump_json().encode()})
    done = upload(hub, folder)
    assert json.loads(done.stdout)["repository"] == second
    assert list(hub.repositories[first].files) == ["rlswarm.json"]
    hub.repositories[second] = Repository(files={"notes.txt": b"mine"})
    done = upload(hub, folder)
    assert (done.returncode, "not this peer's" in done.stderr) == (1, True)


def test_a_card_that_the_hub_does_not_take_is_said(hub, folder):
    (folder / "README.md").write_text("# no metadata\n")
    done = upload(hub, folder)
    assert (done.returncode, hub.of(NAME).commits) == (1, [])


class Process:
    """A publisher of its own, in the state folder of a trainer."""

    def __init__(self, hub, state, redis_url, **changes):
        told = {
            "REDIS_URL": redis_url, "STATE_DIR": str(state), "PUBLISH_EVERY_ROUNDS": "2", "PUBLISH_QUESTIONS": "2",
            "PUBLISH_SAMPLES": "2", "LOG_LEVEL": "INFO",
        }  # fmt: skip
        self.log = (state / "publisher.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.publisher"], cwd=ROOT, env=environment(hub, **{**told, **changes}),
            stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.path = state / "publisher.log"

    def wait(self, what, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline and self.process.poll() is None, self.path.read_text()
            time.sleep(0.1)

    def says(self, text):
        self.wait(lambda: text in self.path.read_text())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, self.path.read_text()


@pytest.mark.timeout(240)
def test_a_peers_checkpoints_are_published_while_it_trains_and_over_a_restart(hub, tmp_path, redis_url):
    trainer = trainer_of(tmp_path)
    asyncio.run(train(trainer, 2))
    process = Process(hub, tmp_path, redis_url)
    try:
        process.says("is published from now on")
        hub.fail("/preupload/", 500, 100)
        asyncio.run(train(trainer, 2, first=2))
        process.says("round 3: mean reward")
        process.wait(lambda: hub.uploads("POST", "/preupload/") > 0)
        process.process.kill(), process.process.wait()
        hub.faults.clear()
        process = Process(hub, tmp_path, redis_url)
        process.says("is published: me/")
    finally:
        process.stop()
    files = hub.of(NAME).files
    told = Publication.model_validate_json(files["rlswarm.json"])
    assert (told.peer, told.round) == (ALICE, 3)
    assert {"model.safetensors", "tokenizer.json", "README.md", "config.json"} <= set(files)
    assert process.path.read_text().count("mean reward") == 1, "the restart did not evaluate it again"
    course = json.loads(next(tmp_path.glob("publisher/*/*/course.json")).read_text())
    assert course["pending"] is None and course["published"]["round"] == 3
    assert "hf_secret" not in process.path.read_text()


@pytest.mark.timeout(120)
def test_without_the_right_to_write_it_is_degraded_and_without_a_token_it_rests(tmp_path, redis_url):
    with hub_server(scope=READ) as hub:
        process = Process(hub, tmp_path, redis_url)
        process.says("degraded, going on without hub: the token is read-only")
        process.stop()
        assert (hub.repositories, hub.uploads("GET", "whoami")) == ({}, 1)
        shutil.rmtree(tmp_path / "publisher", ignore_errors=True)
        for changes in ({"HF_TOKEN": "None"}, {"PUBLISH": "false"}):
            process = Process(hub, tmp_path, redis_url, **changes)
            process.says("nothing is published")
            process.stop()
        assert hub.uploads("GET", "whoami") == 1
