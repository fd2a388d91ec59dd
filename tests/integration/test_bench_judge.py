"""The load on the judge, in small and without a clock."""

import json
import subprocess
import sys

from tests.coordinator_kit import ROOT


def test_the_judge_serves_every_request_of_the_benchmark(tmp_path):
    command = [sys.executable, "-m", "benchmarks.judge", "--smoke", "--results", str(tmp_path / "judge.json")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "judge.json").read_text())
    assert [row["wanted"] for row in rows] == ["100", "at most"] * 2
    assert all(row["errors"] == 0 and row["requests"] >= 100 for row in rows)
    assert (tmp_path / "judge.svg").read_text().startswith("<?xml")
