"""The cost of the network in swarms of any size, computed; and that the page says what was measured."""

from __future__ import annotations

import json

import pytest

from benchmarks.p2p import scale
from benchmarks.p2p.shown import DOCUMENT, RESULTS, document


def settled(size: int) -> dict:
    (row,) = [row for row in scale.rows((size,), readers=20, rounds=3) if row["kind"] == "settled"]
    return row


def test_a_rounds_bytes_do_not_grow_with_the_swarm():
    small, large = settled(60), settled(3_000)
    assert large["bytes"] < 1.5 * small["bytes"]
    assert min(small["found"], large["found"]) > 0.95


@pytest.mark.parametrize("kind", ["newcomers", "size x 1/8", "size x 8", "lost"])
def test_a_wrong_idea_of_the_size_costs_a_round_or_two_and_no_groups(kind):
    played = [row for row in scale.rows((400,), readers=20, rounds=4) if row["kind"] == kind]
    assert min(row["found"] for row in played) >= 0.9
    assert played[-1]["bytes"] < 1.5 * settled(400)["bytes"]


def test_the_page_shows_the_published_figures():
    measured, scaled = (json.loads((RESULTS / name).read_text()) for name in ("p2p.json", "p2p_scale.json"))
    assert document(measured, scaled, DOCUMENT.read_text()) == DOCUMENT.read_text()


def test_ours_takes_a_tenth_of_the_bytes_and_is_complete_where_one_key_is_not():
    rows = {
        (row["engine"], row["peers"], row["kilobytes"], row["spread_seconds"]): row
        for row in json.loads((RESULTS / "p2p.json").read_text())
    }
    assert rows["ours", 16, 300, 0.0]["complete_peers"] == 16 > rows["one key", 16, 300, 0.0]["complete_peers"]
    for spread_s in (0.0, 10.0):
        assert 10 * rows["ours", 16, 20, spread_s]["bytes"] < rows["one key", 16, 20, spread_s]["bytes"]
