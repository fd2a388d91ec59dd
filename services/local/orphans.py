"""Ends what a dead supervisord left behind: by the mark in the environment, and by the pids it recorded.

Services first, then the chain and the store they write to, so that what is under way still arrives. These end their own
children: the chain's anvil, told to stop by anybody else, is to the chain an anvil that died.
"""

from __future__ import annotations

import json

from services.local.folder import RunFolder
from services.local.processes import Born, end, from_json, lives, of_group, of_run

LAST = ("redis", "chain")
SERVICES_PATIENCE_S, LAST_PATIENCE_S = 5.0, 10.0


def recorded(folder: RunFolder) -> dict[str, Born]:
    """The programs that ran when supervisord was last heard of, those that live still."""
    try:
        found = from_json(json.loads(folder.pids.read_text()))
    except (OSError, ValueError):
        return {}
    return {name: process for name, process in found.items() if lives(process)}


def sweep(folder: RunFolder) -> int:
    """End everything of this run; returns how many processes that were. Not while its supervisord is to live on."""
    known = recorded(folder)
    last = {process for name, process in known.items() if name in LAST}
    theirs = {child for process in last for child in of_group(process.pid, folder.root)} - last
    first = (of_run(folder.root) | set(known.values())) - last - theirs
    end(first, SERVICES_PATIENCE_S)
    end(last, LAST_PATIENCE_S)
    end(theirs, LAST_PATIENCE_S)
    folder.pids.unlink(missing_ok=True)
    return len(first | last | theirs)
