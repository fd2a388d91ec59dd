"""`rlswarm pause`, `resume`, `pace`, `bootnodes`: the founder's word, which the coordinator reads at its next look."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from services.local.embedded import answers
from services.local.folder import RunFolder
from services.local.programs import environment
from shared.errors import SettingsError, SwarmError
from shared.household import (
    Pace,
    SwarmState,
    bootnodes,
    pace,
    put_pace,
    service_states,
    swarm_state,
    wish_for_bootnodes,
    wished_bootnodes,
)
from shared.invite import reachable_form
from shared.queue import Store
from shared.queue.redis import RedisError, RedisStore, connect

T = TypeVar("T")


def change_pace(folder: RunFolder, **changes: object) -> str:
    """Change what is named and keep the rest; what holds then, in words. Raises SwarmError."""

    async def change(store: Store) -> str:
        state, before = await swarm_state(store), await pace(store)
        if state is None or not state.leads:
            raise SwarmError("this household does not lead the swarm's rounds", "ask the swarm's founder")
        wanted = _changed(before, changes)
        if wanted != before:
            await put_pace(store, wanted)
        return words(wanted, state)

    return _on_store(folder, change)


def show_bootnodes(folder: RunFolder) -> list[str]:
    """Those on the contract. Raises SwarmError."""
    return _on_store(folder, bootnodes)


def change_bootnodes(folder: RunFolder, wanted: Sequence[str], *, ours: bool, patience_s: float = 60.0) -> list[str]:
    """Put addresses on the contract in the place of those there, with our own peers' in front where `ours`.

    Waits until it is done; what is there then. Raises SwarmError.
    """

    async def change(store: Store) -> list[str]:
        state, states = await swarm_state(store), await service_states(store)
        if state is None or not state.owns:
            raise SwarmError("this household does not own the swarm's contract", "ask the swarm's founder")
        told = [str(one.facts.get("addresses", "")).split() for one in states if one.service == "p2p" and ours]
        every = list(dict.fromkeys([*(address for some in told for address in some), *wanted]))
        if bad := next((address for address in every if not reachable_form(address)), None):
            raise SettingsError(f"{bad} is no address of a peer", "write it as /ip4/ADDRESS/tcp/PORT/p2p/ID")
        await wish_for_bootnodes(store, every)
        return await _until_there(store, every, time.monotonic() + patience_s)

    return _on_store(folder, change)


async def _until_there(store: Store, wanted: list[str], until: float) -> list[str]:
    while await wished_bootnodes(store) is not None or await bootnodes(store) != wanted:
        if time.monotonic() > until:
            raise SwarmError("the bootnodes are not on the chain yet", "see rlswarm logs coordinator")
        await asyncio.sleep(0.2)
    return wanted


def _on_store(folder: RunFolder, act: Callable[[Store], Awaitable[T]]) -> T:
    plan = folder.read_plan()
    if plan is None:
        raise SwarmError(f"the run {folder.root.name} has not been started", "start it: rlswarm up --local")

    url = environment(plan, folder, os.environ)["REDIS_URL"]
    if not answers(url):  # the client would try for a minute
        raise SwarmError(f"the run {folder.root.name} is not up", "start it: rlswarm up --local")

    async def once() -> T:
        client = connect(url)
        try:
            return await act(RedisStore(client))
        finally:
            await client.aclose()

    try:
        return asyncio.run(once())
    except (RedisError, OSError) as error:
        raise SwarmError(f"the Redis of {folder.root.name} does not answer ({error})", "see rlswarm status") from error


def _changed(before: Pace, changes: dict[str, object]) -> Pace:
    try:
        return Pace.model_validate({**before.model_dump(), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise SettingsError(f"no such pace: {where}{first['msg']}", "see rlswarm pace --help") from error


def words(wanted: Pace, state: SwarmState) -> str:
    """What the founder wants; where nothing is wanted, the coordinator's settings hold."""
    parts = [
        "paused" if wanted.paused else f"rounds go on, round {state.round} is open",
        f"a round lasts {_number(wanted.min_s, ' s')} at least and {_number(wanted.max_s, ' s')} at most",
        f"{_number(wanted.quorum and 100 * wanted.quorum, ' %')} of the peers end it early",
    ]
    if state.clock_s:
        parts.append(f"other households may end one after {state.clock_s} s")
    return "; ".join(parts)


def _number(value: float | None, unit: str) -> str:
    return "as configured" if value is None else f"{value:g}{unit}"
