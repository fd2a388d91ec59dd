"""From the household's queue and store into the view and onto the board."""

from __future__ import annotations

from typing import Any

from services.identity.board import Board
from services.identity.live import View, apply
from services.identity.metrics import MESSAGES
from services.identity.sections import sections
from shared.household import hosted_peers, service_states, swarm_state
from shared.queue import Queue
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


async def refresh(view: View, board: Board, context: Context) -> None:
    """Put the view and the household's state on the board, about every second."""
    store, shown, going = context.store, None, True
    while going:
        states, chain, hosted = await service_states(store), await swarm_state(store), await hosted_peers(store)
        # A service's report is new every two seconds; what the page shows of it is not.
        news = (view.version, [(state.service, state.instance, state.status, state.degraded) for state in states])
        if shown != (*news, chain, hosted):
            shown = (*news, chain, hosted)
            board.show(sections(view, states=states, chain=chain, hosted=hosted))
        context.health.beat()
        going = await context.sleep(REFRESH_S)
    board.close()
