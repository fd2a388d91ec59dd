"""`rlswarm up --local`: starts a swarm, shows it, and says what it came to."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.live import Live

from services.cli import table
from services.local.folder import RunFolder
from services.local.settings import LocalSettings
from services.local.snapshot import Snapshot
from services.local.summary import Summary
from services.local.up import Asked, only_one, prepare, up

LINE_EVERY_S = 5.0


class Screen:
    """Shows snapshots: a live table in a terminal, else a line now and then."""

    def __init__(self, console: Console, *, with_table: bool) -> None:
        self._console = console
        self.live = Live(console=console, auto_refresh=False, transient=True) if with_table else None
        self._said_at = float("-inf")
        self._finished = False
        self.rewards: tuple[float, ...] = ()

    def show(self, snapshot: Snapshot) -> None:
        """Show one look at the run."""
        first_look_at_end, self._finished = snapshot.finished and not self._finished, snapshot.finished
        self.rewards = snapshot.rewards
        if self.live is not None:
            self.live.update(table.live(snapshot), refresh=True)
        elif time.monotonic() - self._said_at >= LINE_EVERY_S or first_look_at_end:
            self._said_at = time.monotonic()
            self._console.print(table.line(snapshot), soft_wrap=True, highlight=False, markup=False)


def run_up(name: str, asked: Asked, settings: LocalSettings, *, with_table: bool) -> int:
    """The command's body; its exit code. Raises SwarmError."""
    console = Console()
    folder = RunFolder(settings.runs_dir / name)
    if (done := finished(folder, asked)) is not None:
        console.print(table.result(name, done, rewards_of(done)))
        console.print(f"Go on with more rounds: rlswarm up --local --name {name} --rounds {done.rounds * 2}")
        return 0
    folder.create()
    with only_one(folder):
        prepared = prepare(folder, asked, settings)
        for note in prepared.notes:
            console.print(note, highlight=False, markup=False)
        console.print(
            f"{name}: {prepared.plan.peers} peers, page http://localhost:{prepared.plan.ports['identity']}, "
            f"logs in {shown(folder.logs)}",
            soft_wrap=True,
            highlight=False,
        )
        screen = Screen(console, with_table=with_table and console.is_terminal)
        with screen.live or nullcontext():
            summary = up(prepared, screen.show)
    if summary is None:
        console.print(f"Stopped. Resume with: rlswarm up --local --name {name}", highlight=False)
        return 0
    console.print(table.result(name, summary, screen.rewards))
    console.print(f"Every reward with its transaction: {shown(folder.summary)}", soft_wrap=True, highlight=False)
    return 0


def finished(folder: RunFolder, asked: Asked) -> Summary | None:
    """The summary of a run that is through and is not asked to go on."""
    plan = folder.read_plan()
    if plan is None or not folder.summary.exists():
        return None
    if asked.rounds is not None and asked.rounds > (plan.rounds or 0):
        return None
    return Summary.model_validate_json(folder.summary.read_text())


def rewards_of(summary: Summary) -> tuple[float, ...]:
    """Mean over peers of each round's reward on the chain, oldest first."""
    found: dict[int, list[int]] = {}
    for reward in summary.rewards:
        found.setdefault(reward.round, []).append(reward.points)
    return tuple(fmean(points) / 1000 for _, points in sorted(found.items()))


def shown(path: Path) -> str:
    """A path as the user would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
