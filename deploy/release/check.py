"""What can be checked of a release before its tag: `make release-check VERSION=1.2.3`.

Each check prints one line, `ok`, `skipped: why` or `FAILED: why`; any that failed makes the exit code 1. What only the
registry can tell (pushing, signing) is not checked here, see docs/releases.md.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from deploy.release import sbom

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


class Skipped(Exception):
    """This check cannot be made here."""


class Failed(Exception):
    """This check says no."""


def main(version: str) -> int:
    """Make all checks; 1 if any failed."""
    return report(
        {
            "version": lambda: check_version(version),
            "workflows": check_workflows,
            "actionlint": check_expressions,
            "compose": check_compose,
            "kubernetes": check_kubernetes,
            "wheel": check_wheel,
            "sbom": check_sbom,
        }
    )


def report(checks: Mapping[str, Callable[[], str]]) -> int:
    """Print what each check says; 1 if any failed."""
    failed = 0
    for name, check in checks.items():
        try:
            said = f"ok: {check()}"
        except Skipped as reason:
            said = f"skipped: {reason}"
        except Failed as reason:
            said, failed = f"FAILED: {reason}", 1
        print(f"{name:<12}{said}", flush=True)
    return failed


def check_version(version: str) -> str:
    """The tag, the project and the manifests name the same version."""
    project = str(PROJECT["project"]["version"])
    made = yaml.safe_load((ROOT / "deploy/kubernetes/components/images/kustomization.yaml").read_text())
    tags = {image["newTag"] for image in made["images"]}
    if tags != {project}:
        raise Failed(f"pyproject.toml says {project}, the manifests {', '.join(sorted(tags))}")
    if not version:
        raise Skipped(f"say VERSION=... to compare a tag with {project}")
    if version != project:
        raise Failed(f"the tag is {version}, pyproject.toml says {project}")
    return project


def check_workflows() -> str:
    """No unpinned action, no right too many, no text from outside in a script."""
    zizmor = Path(sys.executable).with_name("zizmor")
    return run([str(zizmor), "--offline", "--quiet", "--persona", "pedantic", ".github/workflows"])


def check_expressions() -> str:
    """Expressions, contexts and shell of the workflows."""
    return run([program("actionlint")])


def check_compose() -> str:
    """The compose file reads in every profile."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    profiles = sorted({profile for service in services for profile in service.get("profiles", [])})
    for profile in profiles:
        run([program("docker-compose"), "--profile", profile, "config", "--quiet"])
    return ", ".join(profiles)


def check_kubernetes() -> str:
    """The manifests hold what their tests promise."""
    return run([sys.executable, "-m", "pytest", "-q", "tests/unit/test_kubernetes.py"])


def check_wheel() -> str:
    """The wheel builds, and holds every module and every data file that git knows."""
    kept = run(["git", "ls-files", "--", "services", "shared"], whole=True).splitlines()
    with tempfile.TemporaryDirectory() as folder:
        # Of a copy: what an earlier build left in build/ would get into the wheel.
        for name in ("services", "shared"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, folder])
        (path,) = Path(folder).glob("*.whl")
        # A file that is gone from the tree, and is still to be committed so, says nothing about the wheel.
        refuse_incomplete(path, (name for name in kept if (ROOT / name).exists()))
        return f"{path.name}, {len(kept)} files"


def refuse_incomplete(path: Path, kept: Iterable[str]) -> None:
    """Raises Failed if the wheel lacks any of these files."""
    with zipfile.ZipFile(path) as wheel:
        if missing := set(kept) - set(wheel.namelist()):
            raise Failed(f"{path.name} lacks {', '.join(sorted(missing))}")


def check_sbom() -> str:
    """A valid bill of materials of every image that is here."""
    program("docker")
    here = [image for image in sbom.IMAGES if sbom.exists(image)]
    if not here:
        raise Skipped("none of our images has been built here")
    for image in here:
        sbom.write_for(image)
    return ", ".join(here)


def program(name: str) -> str:
    """Where a program is. Raises Skipped if it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise Skipped(f"{name} is not installed")
    return found


def run(command: Sequence[str], *, whole: bool = False) -> str:
    """The last line that a command says, or all of it. Raises Failed if it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}\n{done.stdout}{done.stderr}".rstrip())
    said = done.stdout.strip()
    return said if whole else said.rpartition("\n")[2] or Path(command[0]).name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
