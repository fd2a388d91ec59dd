"""`rlswarm status`: one look at a run from outside."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from services.cli import table
from services.local.folder import Plan, RunFolder
from services.local.programs import environment
from services.local.snapshot import Snapshot
from services.local.supervisor import ProgramState, Supervisor
from services.local.watch import Watch
from shared.errors import SwarmError


def run_status(folder: RunFolder, *, as_json: bool) -> int:
    """The command's body: 0 while the run is up, 1 if it is not. Raises SwarmError."""
    plan = folder.read_plan()
    if plan is None:
        raise SwarmError(f"the run {folder.root.name} has not been started", "start it: rlswarm up --local")
    programs = Supervisor(folder).programs()
    console = Console()
    if programs is None:
        _say_down(console, folder, as_json=as_json)
        return 1
    snapshot = asyncio.run(_look(folder, plan, programs))
    if as_json:
        print(json.dumps({"running": True, **asdict(snapshot), "reward": snapshot.reward}, indent=1))
        return 0
    console.print(Text.assemble((snapshot.name, "bold"), f"  {snapshot.page}"))
    console.print(table.line(snapshot), highlight=False, soft_wrap=True)
    console.print(table.peers(snapshot))
    console.print(table.services(snapshot, full=True))
    return 0


async def _look(folder: RunFolder, plan: Plan, programs: list[ProgramState]) -> Snapshot:
    watch = Watch(folder, plan, environment(plan, folder, os.environ).get("REDIS_URL", ""))
    try:
        return await watch.look(programs)
    finally:
        await watch.close()


def _say_down(console: Console, folder: RunFolder, *, as_json: bool) -> None:
    done = folder.summary.exists()
    if as_json:
        summary = json.loads(folder.summary.read_text()) if done else None
        print(json.dumps({"running": False, "name": folder.root.name, "summary": summary}, indent=1))
        return
    console.print(f"{folder.root.name} is {'through' if done else 'not running'}", highlight=False)
    console.print(f"Start it again: rlswarm up --local --name {folder.root.name}", highlight=False)
