"""The bill of materials: what it is made from, and that it is checked."""

import importlib.metadata
import json
import subprocess
import sys

import pytest
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component

from deploy.release import sbom

KNOWN = {"Id": "sha256:" + "ab" * 32, "Config": {"Labels": {"org.opencontainers.image.version": "1.2.3"}}}
FOUND = {
    "python": [
        {"name": "Some_Thing.Else", "version": "2.0", "license": "MIT"},
        {"name": "wordy", "version": "1", "license": "Permissive, more or less\n\nPermission is hereby granted"},
        {"name": "silent", "version": "1", "license": None},
    ],
    "debian": [{"name": "libc6", "version": "2.36-9+deb12u10", "arch": "amd64"}],
    "programs": [{"name": "anvil", "version": "1.7.1", "path": "/usr/local/bin/anvil", "sha256": "cd" * 32}],
    "codename": "bookworm",
}


@pytest.fixture
def written(tmp_path):
    return json.loads(sbom.write(sbom.bom_of("rlswarm-slim", KNOWN, FOUND), tmp_path / "a" / "b.json").read_text())


def test_every_part_has_the_name_by_which_scanners_know_it(written):
    assert {one["purl"] for one in written["components"]} == {
        "pkg:pypi/some-thing-else@2.0",
        "pkg:pypi/wordy@1",
        "pkg:pypi/silent@1",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=bookworm",
        "pkg:generic/anvil@1.7.1",
    }


def test_the_image_is_named_with_its_version_and_its_hash(written):
    image = written["metadata"]["component"]
    assert (image["name"], image["version"], image["type"]) == ("rlswarm-slim", "1.2.3", "container")
    assert image["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]


def test_a_licence_is_its_name_and_never_its_text(written):
    licences = {one["name"]: one.get("licenses") for one in written["components"]}
    assert licences["Some_Thing.Else"] == [{"license": {"id": "MIT"}}]
    assert licences["wordy"] == [{"license": {"name": "Permissive, more or less"}}]
    assert licences["silent"] is None


def test_a_bill_that_the_schema_refuses_is_not_written(tmp_path):
    bad = Bom(components=[Component(name="x", hashes=[HashType(alg=HashAlgorithm.SHA_256, content="no hash")])])
    with pytest.raises(ValueError, match="no valid CycloneDX"):
        sbom.write(bad, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_what_runs_inside_an_image_lists_what_is_really_installed():
    said = subprocess.run([sys.executable, "-"], input=sbom.INSIDE, capture_output=True, text=True, check=True)
    found = json.loads(said.stdout)
    versions = {one["name"].lower(): one["version"] for one in found["python"]}
    for name in ("pydantic", "redis", "cyclonedx-python-lib"):
        assert versions[name] == importlib.metadata.version(name)
    (python,) = [one for one in found["programs"] if one["name"] == "python"]
    assert python["version"] == ".".join(map(str, sys.version_info[:3]))


def test_an_image_that_is_asked_for_and_not_there_is_an_error(capsys):
    assert sbom.main(["nobody.invalid/has-this"]) == 1
    assert "nobody.invalid/has-this: skipped" in capsys.readouterr().out
