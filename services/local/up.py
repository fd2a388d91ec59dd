"""Starts a run and stays with it to its end.

prepare: plan, ports, binaries --> launch: supervisord --> follow (watch.py) --> summary.json --> stop in order
           |
           +-- the run goes on already, without us: attach to it
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.local.anvil import AnvilMissing, find_anvil
from services.local.conf import render
from services.local.embedded import answers, redis_binary
from services.local.folder import Plan, RunFolder, write_whole
from services.local.orphans import sweep
from services.local.ports import pick, wants
from services.local.programs import PUBLISHER, SERVICES, environment, programs, trainers, user_sets
from services.local.restarts import read_restarts
from services.local.settings import LocalSettings
from services.local.snapshot import Snapshot
from services.local.summary import Summary, summarize
from services.local.supervisor import Supervisor
from services.local.watch import Watch, follow
from shared.errors import SettingsError, SwarmError
from shared.invite import parse
from shared.secret import ensure_secret


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; None leaves it to the environment, the run's last start, or the default."""

    peers: int | None = None
    rounds: int | None = None
    model: str | None = None
    invite: str | None = None
    host: str | None = None  # under which others reach this machine


@dataclass(frozen=True)
class Prepared:
    """A run that can be launched."""

    folder: RunFolder
    plan: Plan
    supervisor: Supervisor
    environment: dict[str, str]
    attached: bool  # it runs already
    notes: list[str]  # what the user should know


Show = Callable[[Snapshot], None]


@contextlib.contextmanager
def only_one(folder: RunFolder) -> Iterator[None]:
    """Hold the run while the block lasts: two that look after one run would both start it again."""
    with folder.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SwarmError(
                f"the run {folder.root.name} is up, and another `rlswarm up` stays with it",
                f"look at it with: rlswarm status --name {folder.root.name}",
            ) from error
        yield


def prepare(folder: RunFolder, asked: Asked, settings: LocalSettings, parts: Collection[str] | None = None) -> Prepared:
    """Find out all that can go wrong before anything is started; raises SwarmError.

    `parts` are the programs that will run; None: all of them.
    """
    folder.create()
    folder.stopping.unlink(missing_ok=True)
    supervisor = Supervisor(folder)
    saved = folder.read_plan()
    if saved is not None and supervisor.programs() is not None:
        told = environment(saved, folder, os.environ)
        return Prepared(folder, saved, supervisor, told, True, [f"{saved.name} is running already: attached to it"])
    notes = []
    if ended := sweep(folder):
        notes.append(f"ended {ended} processes that an earlier start of {folder.root.name} left")
    plan, port_notes = make_plan(folder.root.name, asked, settings, saved)
    if parts is not None and not (saved and saved.started_at):
        plan = plan.model_copy(update={"started_at": 0.0})
    plan, anvil, chain_notes = _chain(plan, folder, settings)
    folder.write_plan(plan)
    make_secrets(folder)
    chosen = [program for program in programs(plan, folder, anvil) if parts is None or program.name in parts]
    folder.supervisor_conf.write_text(render(folder, chosen, settings))
    told = environment(plan, folder, os.environ)
    return Prepared(folder, plan, supervisor, told, False, notes + port_notes + chain_notes)


def _chain(plan: Plan, folder: RunFolder, settings: LocalSettings) -> tuple[Plan, Path | None, list[str]]:
    """The plan, and the chain's binary; where there is none to be had for a new run, a ledger takes its place."""
    if not plan.own_chain:
        return plan, None, []
    try:
        return plan, find_anvil(settings.cache_dir.absolute()), []
    except AnvilMissing as missing:
        if user_sets("ANVIL_BIN") or folder.chain_state.exists():
            raise
        note = f"{missing.cause}: {plan.name} runs from a ledger on this machine, and nobody else can join"
        return plan.model_copy(update={"own_chain": False, "ledger": True}), None, [note]


def make_secrets(folder: RunFolder) -> None:
    """What the services of the run must know and nobody else; made once. Raises SwarmError."""
    folder.signing_token.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        for secret in (folder.signing_token, folder.passphrase):
            ensure_secret(secret)
    except OSError as error:
        raise SwarmError(
            f"{error.filename} cannot be written ({error.strerror})", "see the disk and its rights"
        ) from error


def make_plan(name: str, asked: Asked, settings: LocalSettings, saved: Plan | None) -> tuple[Plan, list[str]]:
    """Settle what was asked for and where everything listens; the notes say what is not where one would look."""
    peers = asked.peers or (settings.peers if user_sets("P2P_PEERS") or saved is None else saved.peers)
    rounds = asked.rounds or settings.rounds or (saved.rounds if saved else None)
    model = asked.model or settings.model or (saved.model if saved else None)
    invite = _invite(asked, saved)
    host = asked.host or (saved.host if saved else None)
    chain_url = _chain_url(invite, saved)
    ledger = saved is not None and saved.ledger and chain_url is None
    own_redis, own_chain = _needs_redis(), chain_url is None and not ledger
    if own_redis:
        redis_binary()
    listening = [*SERVICES, *trainers(peers), PUBLISHER]
    wanted = wants(listening, peers, own_redis=own_redis, own_chain=own_chain, known=host is not None)
    picked = pick(wanted, os.environ, saved.ports if saved else {})
    plan = Plan(
        name=name,
        peers=peers,
        rounds=rounds,
        model=model,
        ports=picked.ports,
        own_redis=own_redis,
        own_chain=own_chain,
        ledger=ledger,
        started_at=(saved.started_at if saved else 0.0) or time.time(),
        chain_url=chain_url,
        chain_id=_chain_id(invite, settings, saved),
        invite=invite,
        host=host,
    )
    return plan, picked.notes


def _invite(asked: Asked, saved: Plan | None) -> str | None:
    """The invite of the command line, of the environment, or of the last start."""
    given = asked.invite or (os.environ["SWARM_INVITE"] if user_sets("SWARM_INVITE") else None)
    text = given or (saved.invite if saved else None)
    return "".join(text.split()) if text else None


def _chain_url(invite: str | None, saved: Plan | None) -> str | None:
    """Where a chain that is not ours is: as the environment, the last start or the invite says; None: we run one."""
    if user_sets("CHAIN_URL"):
        return os.environ["CHAIN_URL"].strip()
    if saved is not None and saved.invite == invite and saved.chain_url:
        return saved.chain_url
    if invite is None:
        return None
    if (told := parse(invite, None).invite.chain_url) is None:
        raise SettingsError("the invite names no address of the chain", "set CHAIN_URL to yours, of a tunnel or a VPN")
    return told


def _chain_id(invite: str | None, settings: LocalSettings, saved: Plan | None) -> int | None:
    """The chain's id as the environment says, or said at an earlier start; None: the invite's, or the default."""
    if user_sets("CHAIN_ID"):
        return settings.chain_id
    return saved.chain_id if saved is not None and saved.invite == invite else None


def _needs_redis() -> bool:
    if not user_sets("REDIS_URL"):
        return True
    if not answers(os.environ["REDIS_URL"]):
        raise SwarmError("no Redis answers at the address in REDIS_URL", "start it, or unset REDIS_URL to get one here")
    return False


def up(prepared: Prepared, show: Show) -> Summary | None:
    """Run the swarm to its end; its summary, or None if it was stopped before. Raises SwarmError."""
    return asyncio.run(_up(prepared, show))


async def _up(prepared: Prepared, show: Show) -> Summary | None:
    supervisor, folder = prepared.supervisor, prepared.folder
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(sig) is not signal.SIG_IGN:  # under nohup a hangup stays ignored
            asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    watch = Watch(folder, prepared.plan, prepared.environment["REDIS_URL"])
    try:
        if not prepared.attached:
            await asyncio.to_thread(supervisor.start, prepared.environment)
        work = asyncio.create_task(_until_finished(prepared, watch, show))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not work.done():
            folder.stopping.touch()  # ends the work at its next look, also one that just starts supervisord again
        return await work
    finally:
        await watch.close()
        await asyncio.to_thread(down, folder)


async def _until_finished(prepared: Prepared, watch: Watch, show: Show) -> Summary | None:
    finished = False
    async for snapshot in follow(watch, prepared.supervisor, prepared.folder, prepared.environment):
        show(snapshot)
        finished = snapshot.finished
    if not finished:
        return None
    summary = summarize(
        watch.history,
        seconds=time.time() - prepared.plan.started_at,
        restarts=len(read_restarts(prepared.folder.restarts)),
        chain=watch.seen.chain,
        chain_url=prepared.environment["CHAIN_URL"],
    )
    write_whole(prepared.folder.summary, summary.model_dump_json(indent=1) + "\n")
    return summary


def down(folder: RunFolder) -> bool:
    """Stop a run in good order; True if anything of it was running."""
    supervisor = Supervisor(folder)
    ran = supervisor.alive()
    supervisor.stop()
    swept = sweep(folder)
    return ran or swept > 0
