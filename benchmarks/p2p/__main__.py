"""What an exchange of rollouts costs: bytes, processor time, and time until everybody has what they want.

    python -m benchmarks.p2p            # real p2pd processes on this machine, some 15 minutes; then the simulation
    python -m benchmarks.p2p --smoke    # four peers, one size, and a small simulation
    python -m benchmarks.p2p --scale    # the simulation alone

Engines, each swarm in a network namespace of its own, whose loopback counts the bytes:

    ours             the service, every peer wants everybody's rollouts
    ours, J groups   the service as it is: each wants J informative groups, and hears eight peers or more
    one key          a dictionary under one key of the DHT, as GenRL's backend has it (cell.py)

Writes `benchmarks/results/p2p.json` and `p2p.svg`, `p2p_scale.json` and `p2p_scale.svg`, and the tables in
docs/network.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.p2p import scale
from benchmarks.p2p.race import ENGINES, measure
from benchmarks.p2p.shown import DOCUMENT, RESULTS, document, plot, plot_scale, write

GRID = tuple((peers, size, 0.0) for size in (20, 300) for peers in (4, 8, 16, 24))  # peers, kilobytes, spread_s
SPREAD = ((16, 20, 10.0), (16, 300, 10.0))  # in these, peers end sampling within ten seconds, not all at once


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, simulate, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="four peers, one size; writes only where it is told to")
    parser.add_argument("--scale", action="store_true", help="the simulation alone")
    parser.add_argument("--results", type=Path, help="the folder for figures and plots")
    asked = parser.parse_args(arguments)
    folder = asked.results or (None if asked.smoke else RESULTS)
    rows = []
    if not asked.scale:
        grid, engines = (((4, 20, 0.0),), ENGINES[1:2]) if asked.smoke else (GRID + SPREAD, ENGINES)
        rows = [measure(engine, *cell) for cell in grid for engine in engines]
    scaled = scale.rows(sizes=(100,), readers=4, rounds=2) if asked.smoke else scale.rows()
    if folder:
        if rows:
            write(rows, folder / "p2p.json")
            plot(rows, folder / "p2p.svg")
        write(scaled, folder / "p2p_scale.json")
        plot_scale(scaled, folder / "p2p_scale.svg")
    if folder == RESULTS:
        kept = json.loads((RESULTS / "p2p.json").read_text())
        DOCUMENT.write_text(document(kept, scaled, DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
