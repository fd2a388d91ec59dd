"""`rlswarm init`, `invite`, `join`: a swarm of one's own, and how others come into it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from rich.console import Console

from services.cli.identity import administer
from services.cli.up import run_up, shown
from services.local.folder import Plan, RunFolder
from services.local.found import PARTS, found
from services.local.settings import LocalSettings
from services.local.supervisor import Supervisor
from services.local.up import Asked, only_one, prepare
from shared.errors import SwarmError
from shared.household import SwarmState
from shared.invite import Invite, parse


def run_init(folder: RunFolder, asked: Asked, settings: LocalSettings, days: int) -> int:
    """Found a swarm, or show the one that was founded under this name; the invite alone goes to stdout.

    Raises SwarmError.
    """
    saved = folder.read_plan()
    if saved is not None and saved.invite:
        raise SwarmError(f"the run {folder.root.name} takes part in a swarm that others founded", "choose another name")
    if saved is not None:
        _say(f"{folder.root.name} is there already: nothing is made anew.")
    folder.create()
    if Supervisor(folder).alive():
        return invite(folder, days)
    with only_one(folder):
        prepared = prepare(folder, asked, settings, parts=PARTS)
        for note in prepared.notes:
            _say(note)
        return found(prepared, lambda chain: _show(folder, prepared.plan, chain, days))


def _show(folder: RunFolder, plan: Plan, chain: SwarmState, days: int) -> int:
    where = "a chain of its own" if plan.own_chain else "the chain at CHAIN_URL"
    _say(f"Swarm {folder.root.name}: contract {chain.contract} on {where} ({chain.chain_id}), account {chain.account}.")
    _say(f"Keys, chain and peers' identities are in {shown(folder.root)}; whoever has that folder has the swarm.")
    code = invite(folder, days)
    _say(f"Start it:  rlswarm up --local --name {folder.root.name}")
    _say("Take part: rlswarm join INVITE   or   SWARM_INVITE=INVITE docker compose --profile cpu up -d")
    return code


def invite(folder: RunFolder, days: int) -> int:
    """Print the invite of a run that is up; the exit code."""
    return administer(folder, ["invite", "--days", str(days)])


def order(folder: RunFolder, arguments: list[str]) -> int:
    """An order of the swarm's owner, to a run that is up; the exit code. Raises SwarmError."""
    if not Supervisor(folder).alive():
        raise SwarmError(f"the run {folder.root.name} is not up", f"rlswarm up --local --name {folder.root.name}")
    return administer(folder, arguments)


def run_join(text: str, name: str | None, asked: Asked, settings: LocalSettings, *, with_table: bool) -> int:
    """Take part in the swarm of an invite; the exit code, 2 if the invite will not do. Raises SwarmError."""
    told = parse(text, None).invite
    folder = RunFolder(settings.runs_dir / (name or told.swarm))
    if not _takes_part(folder, text, told):
        parse(text, time.time())
        if code := _look(text):
            return code
    return run_up(folder.root.name, asked, settings, with_table=with_table)


def _takes_part(folder: RunFolder, text: str, told: Invite) -> bool:
    """Whether the run has joined by this very invite. Raises SwarmError if it is of another swarm."""
    saved = folder.read_plan()
    if saved is None:
        return False
    before = parse(saved.invite, None).invite if saved.invite else None
    if before is None or (before.chain_id, before.contract.lower()) != (told.chain_id, told.contract.lower()):
        raise SwarmError(f"there is a run {folder.root.name} here, of another swarm", "choose another --name")
    return saved.invite == "".join(text.split())


def _look(text: str) -> int:
    """Let the coordinator look at the invite, in a process of its own: it knows signatures and the chain."""
    command = [sys.executable, "-m", "services.coordinator.guest"]
    return subprocess.run(command, env={**os.environ, "SWARM_INVITE": text}, check=False).returncode


def _say(line: str) -> None:
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)
