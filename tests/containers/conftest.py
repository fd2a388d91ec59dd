"""Images built once, one stack for the tests that only look, and a clear word where containers cannot be run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import images, why_not
from tests.containers.stack import Stack, container_name


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Skips everything here on a machine without a container engine."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    if missing := images().missing:
        print(f"left out, as neither the image nor a stand-in is to be had: {', '.join(missing.values())}")


@pytest.fixture(scope="session")
def built(engine: None, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The images, built from a clone; seconds it took."""
    stack = Stack(tmp_path_factory.mktemp("build") / "rlswarm", "rlswarm-build")
    begun = time.monotonic()
    stack.build()
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def founder(built: float, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that founded a swarm; gone with all that it kept when the module is through."""
    folder: Path = tmp_path_factory.mktemp("founder") / "rlswarm"
    chain = f"http://{container_name('rlswarm-founder', 'chain')}:8545"
    stack = Stack(folder, "rlswarm-founder", INVITE_CHAIN_URL=chain)
    try:
        yield stack
    finally:
        stack.down("-v")
