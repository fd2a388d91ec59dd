"""Identity: the household's web page.

    ROUNDS --+
    EVENTS --+--> tail --> live.apply --> View --+
    LEDGER --+                                   +--> sections --> Board --/api/live---------> browser
    Store (services, chain, peers) --------------+    (each 1 s)     +-----/api/live/events--> (what changed)

The view is rebuilt from the streams at each start: nothing of the page is kept on disk.
"""

from __future__ import annotations

import asyncio
import logging

from services.identity.app import build_app
from services.identity.board import Board
from services.identity.live import View
from services.identity.server import Server, listen, server_of
from services.identity.settings import IdentitySettings
from services.identity.tail import refresh, tail
from shared.runtime import Context
from shared.streams import EVENTS, LEDGER, ROUNDS

log = logging.getLogger(__name__)


async def run(settings: IdentitySettings, context: Context) -> None:
    """Show the household's life until told to stop."""
    view, board = View(), Board()
    server = server_of(build_app(settings.swarm, board))
    with listen(settings.identity_host, settings.identity_port, "IDENTITY_PORT") as sock:
        host, port = sock.getsockname()[:2]
        context.health.facts |= {"port": port}
        log.info("the swarm's page is at http://%s:%d", host, port)
        async with asyncio.TaskGroup() as group:
            for stream in (ROUNDS, EVENTS, LEDGER):
                group.create_task(tail(stream, view, context))
            group.create_task(refresh(view, board, context))
            group.create_task(server.serve([sock]))
            group.create_task(_end(server, context))


async def _end(server: Server, context: Context) -> None:
    await context.stop.wait()
    server.should_exit = True
