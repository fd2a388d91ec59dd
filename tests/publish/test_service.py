"""The publisher's process: a peer's checkpoints reach the hub while it trains, over a restart; tokens that may not."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.publisher.publication import Publication
from shared.names import name_of
from tests.examples import ALICE
from tests.hub_server import READ, hub_server
from tests.publisher_kit import environment, train, trainer_of

ROOT = Path(__file__).parents[2]
NAME = f"rlswarm-embedded-Gensyn-Swarm-{name_of(ALICE, '_')}"

pytestmark = pytest.mark.timeout(600)  # programs at the lowest priority, on a machine that others may share


@pytest.fixture
def hub():
    with hub_server() as served:
        yield served


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

    def wait(self, what, seconds=240.0):
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline and self.process.poll() is None, self.path.read_text()
            time.sleep(0.1)

    def says(self, text):
        self.wait(lambda: text in self.path.read_text())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, self.path.read_text()


def test_a_peers_checkpoints_are_published_while_it_trains_and_over_a_restart(hub, tmp_path, redis_url):
    asyncio.run(train(trainer_of(tmp_path), 2))
    process = Process(hub, tmp_path, redis_url)
    try:
        process.says("is published from now on")
        hub.fail("/preupload/", 500, 100)
        asyncio.run(train(trainer_of(tmp_path), 2, first=2))
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


def test_without_the_right_to_write_it_is_degraded_and_without_a_token_it_rests(tmp_path, redis_url):
    with hub_server(scope=READ) as hub:
        process = Process(hub, tmp_path, redis_url)
        process.says("degraded, going on without hub: the token is read-only")
        process.stop()
        assert (hub.repositories, hub.uploads("GET", "whoami")) == ({}, 1)
        for number, changes in enumerate(({"HF_TOKEN": "None"}, {"PUBLISH": "false"})):
            (tmp_path / str(number)).mkdir()
            process = Process(hub, tmp_path / str(number), redis_url, **changes)
            process.says("nothing is published: ")
            process.stop()
        assert hub.uploads("GET", "whoami") == 1
