"""Uploads to a hub on this machine, by the hub's own client: one commit, faults, tokens, names, nothing sent twice."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr
from tenacity import wait_none

from services.publisher import hub as module
from services.publisher import upload as program
from services.publisher.account import Refused
from services.publisher.hub import Away
from services.publisher.names import repositories
from services.publisher.publication import Publication
from services.publisher.settings import PublisherSettings
from shared.checkpoints import Lineage
from shared.errors import SettingsError, SwarmError
from shared.names import name_of
from shared.settings import load
from tests.examples import ALICE, BOB
from tests.hub_kit import use
from tests.hub_server import READ, Repository, hub_server
from tests.publisher_kit import environment

ROOT = Path(__file__).parents[2]
NAME = f"rlswarm-embedded-Gensyn-Swarm-{name_of(ALICE, '_')}"


@pytest.fixture
def hub():
    with hub_server(orgs=("ours",)) as served:
        yield served


@pytest.fixture
def upload(hub, folder, tmp_path, monkeypatch):
    """Uploads the folder as the program does, in this process: what it prints, or the error that it ends with."""
    use(monkeypatch, hub.url, tmp_path / "cache")
    for variable in ("HF_TOKEN", "HUGGINGFACE_ACCESS_TOKEN"):
        monkeypatch.delenv(variable, raising=False)

    def run(*options, token="hf_secret", **changes):
        settings = load("publisher", PublisherSettings)
        settings = settings.model_copy(update={"token": SecretStr(token) if token else None, **changes})
        return program.upload(program.arguments([str(folder), "--patience=20", *options]), settings)

    return run


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


def test_a_folder_becomes_one_commit_under_the_peers_name(hub, folder, upload):
    told = upload()
    assert told["repository"] == f"me/{NAME}"
    repository = hub.repositories[f"me/{NAME}"]
    assert repository.commits == [(told["commit"], f"rl-swarm: round 7, agent {name_of(ALICE)}")]
    for path in folder.iterdir():
        assert repository.files[path.name] == path.read_bytes(), path
    assert not repository.private
    assert hub.uploads("PUT", "/lfs/") == 3, "the large file came in parts"


def test_the_next_upload_sends_only_what_changed_and_takes_away_what_is_gone(hub, folder, upload):
    (folder / "model-Q4_K_M.gguf").write_bytes(b"old")
    upload()
    sent = hub.received
    (folder / "model-Q4_K_M.gguf").unlink()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# Another card\n")
    upload()
    repository = hub.of(NAME)
    assert (hub.received, len(repository.commits)) == (sent, 2)
    assert b"Another" in repository.files["README.md"] and "model-Q4_K_M.gguf" not in repository.files
    assert ".gitattributes" in repository.files
    upload()
    assert len(repository.commits) == 2, "nothing new is no commit"


def test_a_private_repository_is_made_private_and_an_organisations_is_its_own(hub, upload):
    upload(private=True, owner="ours")
    assert hub.repositories[f"ours/{NAME}"].private
    with pytest.raises(Refused, match="not part of strangers"):
        upload(owner="strangers")


@pytest.mark.parametrize("nothing", ["", "None"])
def test_the_other_name_of_the_token_is_good_too_and_none_is_none(monkeypatch, upload, nothing):
    monkeypatch.setenv("HF_TOKEN", nothing)
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", "hf_other")
    assert load("publisher", PublisherSettings).token.get_secret_value() == "hf_other"
    monkeypatch.setenv("HUGGINGFACE_ACCESS_TOKEN", nothing)
    assert load("publisher", PublisherSettings).token is None
    with pytest.raises(SettingsError, match="no token"):
        upload(token=None)


FAULTS = [("/commit/", 500), ("/lfs/", "cut"), ("/preupload/", 503), ("/repos/create", 502), ("whoami", "cut")]


@pytest.mark.parametrize(("route", "how"), [*FAULTS, ("/objects/batch", 429)])
def test_what_passes_by_itself_is_tried_again(hub, folder, upload, monkeypatch, route, how):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.1)
    hub.fail(route, how)
    upload()
    assert hub.of(NAME).files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(hub.of(NAME).commits) == 1


def test_a_limit_on_requests_is_kept_to_for_as_long_as_it_says(hub, upload, monkeypatch):
    monkeypatch.setattr(module, "wait_exponential_jitter", lambda *_: wait_none())
    hub.fail("whoami", 429, 1, Retry_After="2")
    began = time.monotonic()
    upload()
    assert time.monotonic() - began >= 2
    assert hub.uploads("GET", "whoami") == 2


def test_what_had_arrived_before_a_failure_is_not_sent_again(hub, folder, upload):
    hub.fail("/commit/", 400)
    with pytest.raises(SwarmError, match="does not take it"):
        upload()
    sent = hub.received
    assert sent >= (folder / "model.safetensors").stat().st_size
    upload()
    assert hub.received == sent, "the large file was there already"


def test_a_hub_that_is_gone_is_given_up_in_one_line(hub, upload):
    hub.server.shutdown(), hub.server.server_close()
    with pytest.raises(Away, match="cannot be reached"):
        upload("--patience=0.1")


def test_a_token_that_expires_in_the_middle_is_refused(hub, upload):
    hub.fail("/preupload/", 401)
    with pytest.raises(Refused, match="does not know the token"):
        upload()
    hub.fail("/commit/", 403)
    with pytest.raises(Refused, match="may not write there"):
        upload()
    hub.tokens.clear()
    with pytest.raises(Refused, match="does not know the token"):
        upload()


def test_a_repository_of_another_peer_or_of_something_else_is_never_overwritten(hub, folder, upload):
    first, second = repositories("me", "embedded", "Gensyn-Swarm", ALICE)
    others = Publication.model_validate_json((folder / "rlswarm.json").read_text()).model_copy(update={"peer": BOB})
    hub.repositories[first] = Repository(files={"rlswarm.json": others.model_dump_json().encode()})
    assert upload()["repository"] == second
    assert list(hub.repositories[first].files) == ["rlswarm.json"]
    hub.repositories[second] = Repository(files={"notes.txt": b"mine"})
    with pytest.raises(SwarmError, match="not this peer's"):
        upload()


def test_a_hub_that_stumbles_over_the_question_whose_it_is_costs_no_other_name(hub, folder, upload, monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.1)
    first = upload()["repository"]
    hub.fail("/resolve/", "cut", 1)
    assert upload()["repository"] == first
    hub.fail("/resolve/", 404, 100, X_Error_Code="EntryNotFound")
    assert upload()["repository"] != first, "it is not there: somebody else's"


def test_a_card_that_the_hub_does_not_take_is_said_before_anything_is_sent(hub, folder, upload):
    (folder / "README.md").write_text("# no metadata\n")
    with pytest.raises(SwarmError, match="does not take it"):
        upload()
    assert (hub.of(NAME).commits, hub.received) == ([], 0)


def test_what_is_no_repositorys_folder_is_not_uploaded(hub, folder, upload):
    told = Publication.model_validate_json((folder / "rlswarm.json").read_text())
    (folder / "rlswarm.json").write_text(told.model_copy(update={"parents": ("a", "b")}).model_dump_json())
    with pytest.raises(SwarmError, match="nobody's in particular"):
        upload()
    (folder / "rlswarm.json").unlink()
    with pytest.raises(SwarmError, match="is no repository's folder"):
        upload()
    assert hub.repositories == {}


def test_the_program_is_killed_in_the_middle_and_goes_on_where_it_was_and_tells_no_secret(hub, folder):
    hub.fail("/commit/", "cut", 100)
    command = [sys.executable, "-m", "services.publisher.upload", str(folder)]
    child = subprocess.Popen(command, cwd=ROOT, env=environment(hub), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not hub.uploads("POST", "/commit/") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "hf_secret" not in Path(f"/proc/{child.pid}/cmdline").read_text()
    child.kill(), child.wait()
    sent, hub.faults[:] = hub.received, []
    done = subprocess.run(command, cwd=ROOT, env=environment(hub), capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["repository"]) == (0, f"me/{NAME}"), done.stderr
    assert hub.received == sent
    hub.tokens["hf_secret"] = ("me", READ, ())
    done = subprocess.run(command, cwd=ROOT, env=environment(hub), capture_output=True, text=True, check=False)
    assert (done.returncode, "read-only" in done.stderr, len(done.stderr.splitlines())) == (Refused.exit_code, True, 1)
    assert "hf_secret" not in done.stderr + done.stdout and os.environ.get("HF_TOKEN") != "hf_secret"
