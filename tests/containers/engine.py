"""The container engine of this machine, and which of the stack's images can be had here.

A machine without an image registry may hold stand-ins: images of the same name, made locally, with the label
`standin=1`. They are used where the pinned image is not there and cannot be pulled; what has neither is left out, and
`Images.missing` says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_network
from pathlib import Path

ROOT = Path(__file__).parents[2]
PULL_S = 600
# Old clients build with BuildKit only if told so.
ENVIRONMENT = {**os.environ, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1", "BUILDKIT_PROGRESS": "plain"}
DEFAULT = re.compile(r"\$\{(\w+_IMAGE):-([^}@]+)@(sha256:[0-9a-f]{64})\}")


def docker(*arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one docker command; raises CalledProcessError with what it said."""
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


@cache
def why_not() -> str | None:
    """The reason why containers cannot be run here; None if they can."""
    if shutil.which("docker") is None:
        return "there is no docker on this machine"
    if docker("info", check=False).returncode != 0:
        return "no container engine answers: start it, or see `docker info`"
    if compose_command() is None:
        return "there is no docker compose on this machine"
    return None


@cache
def compose_command() -> tuple[str, ...] | None:
    """Compose v2 as a plugin, or the old docker-compose."""
    if docker("compose", "version", check=False).returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None


def gateway() -> str:
    """The address of this machine by which containers that have a way out reach it."""
    subnet = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge").stdout.strip()
    return str(next(ip_network(subnet).hosts()))


@dataclass(frozen=True)
class Images:
    """The images of others that the stack stands on."""

    chosen: dict[str, str]  # variable -> image, where it is not the default
    missing: dict[str, str]  # variable -> image that cannot be had here


@cache
def images() -> Images:
    """Choose among the pinned image, a stand-in, and none."""
    chosen: dict[str, str] = {}
    missing: dict[str, str] = {}
    for variable, name, digest in DEFAULT.findall((ROOT / "docker-compose.yml").read_text()):
        if variable in chosen or variable in missing or _is_here(f"{name}@{digest}"):
            continue
        if _is_here(name) or docker("pull", "-q", f"{name}@{digest}", timeout=PULL_S, check=False).returncode != 0:
            (chosen if _is_here(name) else missing)[variable] = name
    return Images(chosen, missing)


def _is_here(image: str) -> bool:
    return docker("image", "inspect", image, check=False).returncode == 0
