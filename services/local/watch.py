"""Looks after a running swarm: reads how it is, starts a killed supervisord again, and notices failure and the end.

supervisord --states--+
Redis ------streams---+--> Snapshot --> whoever shows it
restarts.log ---------+
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.local.folder import Plan, RunFolder
from services.local.history import History, Reader
from services.local.orphans import sweep
from services.local.programs import PUBLISHER
from services.local.restarts import note_restart, read_restarts
from services.local.snapshot import Snapshot, is_finished, mean_by_round, peer_rows, seconds_left, service_rows
from services.local.supervisor import ProgramState, Supervisor
from services.local.tails import last_exit, last_line
from shared.errors import SwarmError
from shared.household import ServiceState, SwarmState, hosted_peers, service_states, swarm_state
from shared.queue.redis import RedisError, RedisQueue, RedisStore, connect

ANSWER_S = 3.0  # Redis may be starting again just now: what was read last is shown then
LAST_ROUND_S = 20.0  # trainers get so long to end by themselves after the last round


class ServiceFailed(SwarmError):
    """A program has been given up, or was refused its settings."""


@dataclass
class Seen:
    """What was read last."""

    chain: SwarmState | None = None
    hosted: tuple[str, ...] = ()
    states: tuple[ServiceState, ...] = ()
    programs: tuple[ProgramState, ...] = ()


class Watch:
    """One run, as seen from outside of its processes."""

    def __init__(self, folder: RunFolder, plan: Plan, redis_url: str) -> None:
        self._folder, self._plan = folder, plan
        client = connect(redis_url)
        self._store, self._queue = RedisStore(client), RedisQueue(client)
        self._reader = Reader(self._queue)
        self.seen = Seen()

    @property
    def history(self) -> History:
        """All that the run has come to."""
        return self._reader.history

    async def look(self, programs: list[ProgramState] | None) -> Snapshot:
        """Read what is new."""
        if programs is not None:
            self.seen.programs = tuple(programs)
        try:
            await asyncio.wait_for(self._read(), ANSWER_S)
        except (TimeoutError, RedisError, OSError):
            self.seen.states = ()  # nobody can report without it
        return self._snapshot()

    async def close(self) -> None:
        """Let go of Redis."""
        await self._queue.close()

    async def _read(self) -> None:
        self.seen.chain = await swarm_state(self._store) or self.seen.chain
        self.seen.hosted = tuple(await hosted_peers(self._store)) or self.seen.hosted
        self.seen.states = tuple(await service_states(self._store))
        await self._reader.catch_up()

    def _snapshot(self) -> Snapshot:
        seen, plan = self.seen, self._plan
        return Snapshot(
            name=plan.name,
            page=f"http://localhost:{plan.ports['identity']}",
            elapsed_s=time.time() - plan.started_at,
            round=seen.chain.round if seen.chain else None,
            rounds=plan.rounds,
            seconds_left=seconds_left(self.history, plan.rounds, seen.chain),
            finished=is_finished(seen.chain, plan.rounds),
            peers=peer_rows(self.history, seen.hosted),
            services=service_rows(seen.programs, seen.states),
            restarts=len(read_restarts(self._folder.restarts)),
            rewards=mean_by_round(self.history),
        )


async def follow(
    watch: Watch, supervisor: Supervisor, folder: RunFolder, environment: dict[str, str], *, every_s: float = 1.0
) -> AsyncIterator[Snapshot]:
    """Snapshots until the run is finished or stopped on purpose; raises ServiceFailed."""
    finished_at: float | None = None
    while True:
        if folder.stopping.exists():
            return
        programs = await asyncio.to_thread(supervisor.programs)
        if programs is None and not supervisor.alive():
            if folder.stopping.exists():
                return
            await asyncio.to_thread(revive, supervisor, folder, environment)
            continue
        check(programs or [], folder)
        snapshot = await watch.look(programs)
        yield snapshot
        if snapshot.finished:
            finished_at = finished_at or time.monotonic()
            if _trainers_ended(programs or []) or time.monotonic() - finished_at > LAST_ROUND_S:
                await watch.look(programs)
                return
        await asyncio.sleep(every_s)


def revive(supervisor: Supervisor, folder: RunFolder, environment: dict[str, str]) -> None:
    """Supervisord was killed: end what it left, start it again, go on with the same run."""
    note_restart(folder.restarts, "supervisord", "it was gone")
    sweep(folder)
    supervisor.start(environment)


def check(programs: list[ProgramState], folder: RunFolder) -> None:
    """Raise ServiceFailed for the first program that will not come back."""
    for program in programs:
        if program.name == PUBLISHER:
            continue  # training goes on without
        end = last_exit(folder.supervisor_log, program.name)
        refused = program.state in ("STOPPED", "EXITED") and end == "exit status 2"
        if program.state == "FATAL" or refused:
            how = "was given its settings and refused them" if refused else "died again and again"
            said = last_line(folder.log_of(program.name)) or end or "nothing"
            raise ServiceFailed(
                f"{program.name} {how} ({end or program.trouble}); it said last: {said.rstrip('.')}",
                f"see {folder.log_of(program.name)}",
            )


def _trainers_ended(programs: list[ProgramState]) -> bool:
    trainers = [program.state for program in programs if program.name.startswith("trainer-")]
    return all(state in ("EXITED", "STOPPED") for state in trainers)
