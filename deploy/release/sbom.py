"""Says what a container image is made of, as CycloneDX 1.6 JSON: `python -m deploy.release.sbom IMAGE...`.

The image is asked itself: a program runs in it, without network, and lists the Python distributions, the Debian
packages, and the two programs that belong to neither, Python and anvil. Written to dist/sbom/<image>.cdx.json, after it
has been validated against CycloneDX's schema.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

IMAGES = ("rlswarm-slim", "rlswarm-chain", "rlswarm-torch", "rlswarm-cuda")
DIST = Path("dist/sbom")

# Standard library only, because the image decides what there is. The interpreter's own packages lie beside the venv's.
INSIDE = r"""
import glob, hashlib, importlib.metadata, json, pathlib, platform, shutil, subprocess, sys

places = sys.path[1:] + glob.glob("/usr/local/lib/python3*/site-packages")
dists = {str(d._path): d for d in importlib.metadata.distributions(path=list(dict.fromkeys(places)))}
python = [
    {"name": d.name, "version": d.version, "license": d.metadata.get("License-Expression") or d.metadata.get("License")}
    for d in dists.values()
]
status = pathlib.Path("/var/lib/dpkg/status")
debian = []
for paragraph in (status.read_text() if status.exists() else "").split("\n\n"):
    fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
    if fields.get("Status", "").endswith(" installed"):
        debian.append({"name": fields["Package"], "version": fields["Version"], "arch": fields["Architecture"]})
interpreter = str(pathlib.Path(sys.executable).resolve())
programs = [{"name": "python", "version": platform.python_version(), "path": interpreter}]
if anvil := shutil.which("anvil"):
    said = subprocess.run([anvil, "--version"], capture_output=True, text=True, check=True).stdout.split()
    programs.append({"name": "anvil", "version": next(w for w in said if w[0].isdigit()), "path": anvil})
for program in programs:
    program["sha256"] = hashlib.sha256(pathlib.Path(program["path"]).read_bytes()).hexdigest()
release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
print(json.dumps({"python": python, "debian": debian, "programs": programs, "codename": release}))
"""


def main(images: list[str]) -> int:
    """Write an SBOM for each image; without any named, for those of ours that there are."""
    present = [image for image in images or IMAGES if exists(image)]
    for image in images or IMAGES:
        if image not in present:
            print(f"{image}: skipped: there is no such image here")
    for image in present:
        print(f"{image}: ok: {write_for(image)}")
    # What was asked for by name has to be there.
    return int(len(present) < len(images))


def write_for(image: str) -> Path:
    """Write the bill of materials of an image; where it lies."""
    name = image.rpartition("/")[2].replace(":", "-").replace("@", "-")
    return write(bom_of(image, inspect(image), contents(image)), DIST / f"{name}.cdx.json")


def exists(image: str) -> bool:
    """Whether the container engine has this image; False also if there is no engine."""
    try:
        return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def inspect(image: str) -> dict[str, Any]:
    """What the container engine knows of an image."""
    told = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)[0]
    return found


def contents(image: str) -> dict[str, Any]:
    """What the image says is installed in it. Raises CalledProcessError if it has no Python."""
    command = ["docker", "run", "--rm", "-i", "--network", "none", "--read-only", "--entrypoint", "python", image, "-"]
    said = subprocess.run(command, input=INSIDE.encode(), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def bom_of(image: str, known: dict[str, Any], found: dict[str, Any]) -> Bom:
    """The bill of materials of an image, of what the engine knows and the image says."""
    labels = known["Config"].get("Labels") or {}
    bom = Bom(components=_components(found))
    bom.metadata.component = Component(
        name=image,
        version=labels.get("org.opencontainers.image.version"),
        type=ComponentType.CONTAINER,
        bom_ref=image,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=known["Id"].removeprefix("sha256:"))],
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def _components(found: dict[str, Any]) -> Iterator[Component]:
    for one in found["python"]:
        # PyPI's normal form of a name: what a purl, and so a scanner, knows it by.
        purl = PackageURL("pypi", None, one["name"].lower().replace("_", "-").replace(".", "-"), one["version"])
        yield _library(one, purl, one["license"])
    for one in found["debian"]:
        qualifiers = {"arch": one["arch"], "distro": found["codename"]}
        yield _library(one, PackageURL("deb", "debian", one["name"], one["version"], qualifiers), None)
    for one in found["programs"]:
        yield Component(
            name=one["name"],
            version=one["version"],
            type=ComponentType.APPLICATION,
            purl=PackageURL("generic", None, one["name"], one["version"]),
            bom_ref=one["path"],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one["sha256"])],
        )


def _library(one: dict[str, str], purl: PackageURL, licence: str | None) -> Component:
    # Some put the whole text of their licence there; the name of it is on the first line, if anywhere.
    first = (licence or "").strip().partition("\n")[0].strip()
    licences = [LicenseFactory().make_from_string(first)] if first else []
    return Component(
        name=one["name"],
        version=one["version"],
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=licences,
    )


def write(bom: Bom, path: Path) -> Path:
    """Write the bill, if CycloneDX's schema approves of it. Raises ValueError if not."""
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"{path.name} is no valid CycloneDX: {error}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
