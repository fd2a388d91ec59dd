"""Writes dashboards/*.json from boards/*.py: `python config/grafana/build.py [folder]`, after each change of one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from boards import chain, host, learning, network, node, swarm
from grafana_foundation_sdk.cog.encoder import JSONEncoder

BOARDS = (swarm, learning, network, chain, node, host)
HERE = Path(__file__).parent


def write(folder: Path) -> None:
    """One file for each board, named after its module."""
    for module in BOARDS:
        name = module.__name__.rpartition(".")[2]
        text = json.dumps(module.board().build(), cls=JSONEncoder, indent=1, sort_keys=True)
        (folder / f"{name}.json").write_text(f"{text}\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else HERE / "dashboards")
