"""What .github/workflows promise of a release, and that what is checked before one can say no."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from deploy.release import check, sbom

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
RELEASE = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
JOBS = RELEASE["jobs"]
ZIZMOR = Path(sys.executable).with_name("zizmor")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path):
    used = re.findall(r"uses: (.+)", path.read_text())
    assert used
    for one in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+(\.\d+)*", one), one


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_rights_and_its_jobs_only_those_they_name(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "contents" in job["permissions"], name


def test_the_auditor_finds_nothing():
    check.check_workflows()


def test_the_auditor_finds_text_from_outside_in_a_script(tmp_path):
    bad = {
        "name": "bad",
        "on": "issues",
        "permissions": {},
        "jobs": {
            "a": {
                "name": "a",
                "runs-on": "ubuntu-24.04",
                "steps": [{"run": "echo ${{ github.event.issue.title }}"}],
            }
        },
    }
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(bad))
    done = subprocess.run([ZIZMOR, "--offline", str(tmp_path / "bad.yml")], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


def test_every_image_is_released_signed_by_digest_with_its_bill_and_its_provenance():
    released = {one["name"]: one for one in JOBS["images"]["strategy"]["matrix"]["include"]}
    assert set(released) == set(sbom.IMAGES)
    for one in released.values():
        dockerfile = (ROOT / one["file"]).read_text()
        assert not one["target"] or re.search(rf"^FROM .+ AS {one['target']}$", dockerfile, re.MULTILINE)
    (build,) = [step for step in JOBS["images"]["steps"] if "build-push-action" in step.get("uses", "")]
    assert (build["with"]["push"], build["with"]["sbom"], build["with"]["provenance"]) == (True, True, "mode=max")
    (sign,) = [step for step in JOBS["images"]["steps"] if "cosign sign" in step.get("run", "")]
    assert '"$IMAGE@$DIGEST"' in sign["run"]
    assert sign["env"]["DIGEST"] == "${{ steps.build.outputs.digest }}"


def test_nothing_is_pushed_before_the_checks_and_nothing_released_before_all_images():
    assert JOBS["images"]["needs"] == "check"
    assert JOBS["release"]["needs"] == "images"


def test_a_tag_that_is_not_the_version_of_the_project_is_refused():
    with pytest.raises(check.Failed, match=r"the tag is 999\.0\.0"):
        check.check_version("999.0.0")
    assert check.check_version(check.PROJECT["project"]["version"])


def test_a_wheel_without_a_file_that_git_knows_is_refused(tmp_path):
    path = tmp_path / "rlswarm-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("services/__init__.py", "")
    check.refuse_incomplete(path, ["services/__init__.py"])
    with pytest.raises(check.Failed, match=r"lacks services/trainer/embedded/model\.safetensors"):
        check.refuse_incomplete(path, ["services/__init__.py", "services/trainer/embedded/model.safetensors"])


def test_a_check_that_fails_makes_the_exit_code_and_one_that_is_skipped_does_not(capsys):
    checks = {
        "good": lambda: "fine",
        "absent": lambda: check.program("no-such-program"),
    }
    assert check.report(checks) == 0
    assert check.report({"bad": lambda: check.run([sys.executable, "-c", "exit(3)"]), **checks}) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["good        ok: fine", "absent      skipped: no-such-program is not installed"]
    assert said[2].startswith("bad         FAILED: ")
    assert said[3:] == said[:2]
