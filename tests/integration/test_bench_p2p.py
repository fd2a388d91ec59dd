"""The benchmark of the peer network runs: one small swarm of real p2pd processes, and a small simulation."""

from __future__ import annotations

import json

from benchmarks.p2p.__main__ import main


def test_four_peers_exchange_and_are_measured(tmp_path):
    main(["--smoke", "--results", str(tmp_path)])
    (row,) = json.loads((tmp_path / "p2p.json").read_text())
    assert set(row) == {
        "peers",
        "kilobytes",
        "engine",
        "spread_seconds",
        "bytes",
        "cpu_seconds",
        "complete_peers",
        "seconds",
    }
    assert (row["peers"], row["complete_peers"]) == (4, 4)
    assert row["bytes"] > 4 * 3 * 20_000 / 4  # the bodies at least, packed
    assert json.loads((tmp_path / "p2p_scale.json").read_text())
    assert {path.name for path in tmp_path.glob("*.svg")} == {"p2p.svg", "p2p_scale.svg"}
