"""From the household's queue and store into the view and onto the board."""

from __future__ import annotations

import asyncio
from typing import Any

from services.identity.live import View, apply
from services.identity.metrics import MESSAGES
from services.identity.parts import Parts
from services.identity.sections import sections
from services.identity.shown.around import Around
from services.identity.shown.market import Seen
from shared.exams import exam_board
from shared.household import activities, hosted_peers, peer_notes, service_states, swarm_state
from shared.market import CLUE, STATE, Clue, MarketState, played, read
from shared.queue import Queue, Store
from shared.runtime import Context
from shared.streams import Stream

WAIT_S = 1.0
REFRESH_S = 1.0  # between two looks at what changed
PAUSE_S = 0.2  # after an empty read: undecodable entries make it return at once


async def tail(stream: Stream[Any], view: View, context: Context) -> None:
    """Take every message of a stream into the view, from the oldest kept one on."""
    cursor = "0"
    while not context.stop.is_set():
        cursor, found = await step(context.queue, stream, cursor, view)
        await context.sleep(0 if found else PAUSE_S)


async def step(queue: Queue, stream: Stream[Any], cursor: str, view: View) -> tuple[str, bool]:
    """One read; the new cursor, and whether there was anything."""
    entries = await queue.read(stream, cursor, wait_s=WAIT_S)
    for entry in entries:
        apply(view, entry.message)
    MESSAGES.labels(stream.name).inc(len(entries))
    return (entries[-1].id, True) if entries else (cursor, False)


async def refresh(parts: Parts) -> None:
    """Put the view and the household's state on the board, about every second."""
    context, view, board = parts.context, parts.view, parts.board
    shown, owned, going = None, False, True
    while going:
        owned = owned or await asyncio.to_thread(parts.accounts.owners.name) is not None
        around = (await look(parts, owned=owned)).shown()
        if shown != (view.version, around):
            shown = (view.version, around)
            board.show(sections(view, around))
        board.beat()
        context.health.beat()
        going = await context.sleep(REFRESH_S)
    board.close()


async def seen_market(store: Store) -> Seen | None:
    """The prediction market; None where there is none."""
    if (state := await read(store, STATE, MarketState)) is None:
        return None
    return Seen(state, await read(store, CLUE, Clue), await played(store))


async def look(parts: Parts, *, owned: bool) -> Around:
    """The household as of now."""
    store = parts.context.store
    return Around(
        states=await service_states(store),
        chain=await swarm_state(store),
        hosted=await hosted_peers(store),
        notes=await peer_notes(store),
        activities=await activities(store),
        key=parts.accounts.vault.state,
        owned=owned,
        exams=await exam_board(store),
        market=await seen_market(store),
        explorer=parts.settings.explorer,
    )
