"""What each service really loads, in a fresh interpreter: an image holds no more than this needs."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch", "transformers", "hivemind", "web3", "fastapi", "reasoning_gym", "typer", "supervisor", "matplotlib",
}  # fmt: skip
# Service -> the module that does its work, and which of the heavy packages it may load.
SERVICES = {
    "shared": ("shared.runtime", set()),
    "trainer": ("services.trainer.service", {"torch", "transformers", "reasoning_gym"}),
    "p2p": ("services.p2p.service", {"hivemind", "torch"}),  # hivemind imports torch
    "coordinator": ("services.coordinator.service", {"web3"}),
    "identity": ("services.identity.service", {"fastapi"}),
    "judge": ("services.judge.service", {"fastapi", "reasoning_gym"}),
    "publisher": ("services.publisher.service", set()),  # what needs torch is a process of its own
}
SHOW = "import importlib, json, sys; importlib.import_module({!r}); print(json.dumps(list(sys.modules)))"


def loaded(module: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", SHOW.format(module)], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_loads_nothing_heavy_that_is_not_its_own(service):
    module, allowed = SERVICES[service]
    assert loaded(module) & HEAVY <= allowed


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "shared"])
def test_settings_are_read_before_anything_heavy_is_loaded(service):
    assert not loaded(f"services.{service}.__main__") & HEAVY
