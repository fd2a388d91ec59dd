"""What is in the images, and what is not."""

import json

import pytest

from tests.containers.engine import docker
from tests.containers.stack import TAG

MEGABYTE = 1_000_000
LARGEST = {"rlswarm-slim": 350, "rlswarm-chain": 350, "rlswarm-torch": 1_600}
INSIDE = {
    "rlswarm-slim": {"coordinator", "identity", "judge", "doctor"},
    "rlswarm-chain": {"chain"},
    "rlswarm-torch": {"p2p", "trainer", "publisher", "doctor"},
}
WITHOUT = {
    "rlswarm-slim": ["torch", "transformers", "hivemind", "pip", "pytest", "supervisor"],
    "rlswarm-chain": ["torch", "web3", "fastapi", "reasoning_gym", "pip", "pytest"],
    "rlswarm-torch": ["web3", "fastapi", "pip", "pytest", "supervisor"],
}
pytestmark = pytest.mark.timeout(1_800)


def run(image, *command):
    """Run a command in the image as it is meant to be run: nothing may be written, nothing reached."""
    limits = ["--read-only", "--network=none", "--cap-drop=ALL", "--tmpfs=/tmp"]
    return docker("run", "--rm", *limits, "--entrypoint", command[0], f"{image}:{TAG}", *command[1:]).stdout


@pytest.mark.parametrize("image", sorted(LARGEST))
def test_an_image_is_small(built, image):
    size = int(docker("image", "inspect", "-f", "{{.Size}}", f"{image}:{TAG}").stdout)
    print(f"{image}: {size / MEGABYTE:.0f} MB")
    assert size <= LARGEST[image] * MEGABYTE


@pytest.mark.parametrize("image", sorted(LARGEST))
def test_it_holds_only_the_services_it_runs(built, image):
    services = set(run(image, "ls", "/app/services").split()) - {"__init__.py", "__pycache__"}
    assert services == INSIDE[image]
    top = set(run(image, "ls", "-A", "/app").split())
    assert top == {"config", "services", "shared"} | ({"contracts"} if image == "rlswarm-slim" else set())


@pytest.mark.parametrize("image", sorted(LARGEST))
def test_it_runs_without_rights_and_owns_only_its_state(built, image):
    config = json.loads(docker("image", "inspect", f"{image}:{TAG}").stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert run(image, "id", "-u").strip() == "10001"
    look = "find / -xdev -user 10001 -not -path '/proc/*' -not -path '/dev/*' 2>/dev/null; true"
    own = run(image, "sh", "-c", look)
    assert set(own.split()) <= {"/state", "/keys", "/signing", "/unlock"}


@pytest.mark.parametrize("image", sorted(LARGEST))
def test_what_a_service_does_not_use_is_not_there(built, image):
    look = "import importlib.util, sys; print([n for n in sys.argv[1:] if importlib.util.find_spec(n)])"
    assert run(image, "python", "-c", look, *WITHOUT[image]).strip() == "[]"


@pytest.mark.parametrize("image", ["rlswarm-slim", "rlswarm-torch"])
def test_every_task_can_be_made_without_plots(built, image):
    make = "import reasoning_gym as g; print(*(len(g.create_dataset(n, size=1, seed=1)) for n in sys.argv[1:]))"
    assert run(image, "python", "-c", f"import sys; {make}", "game_of_life", "zebra_puzzles").strip() == "1 1"
