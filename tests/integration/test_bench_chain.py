"""The benchmark of the chain, on a few rewards."""

import json
import subprocess
import sys

import pytest

from services.local.anvil import AnvilMissing, find_anvil
from tests.coordinator_kit import ROOT


def test_neither_way_of_ours_loses_a_reward_in_the_benchmark(tmp_path):
    try:
        find_anvil(ROOT / ".cache")
    except AnvilMissing as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "benchmarks.chain", "--smoke", "--results", str(tmp_path / "chain.json")]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = {row["way"]: row for row in json.loads((tmp_path / "chain.json").read_text())}
    assert set(rows) == {"receipt", "latest", "ours", "batched"}
    for way in ("ours", "batched"):
        assert rows[way]["landed"] == rows[way]["sent"] == 20
    assert (tmp_path / "chain.svg").read_text().startswith("<?xml")
