"""Identity: the household's web page, its accounts, and its key.

    ROUNDS --+
    EVENTS --+
    LEDGER --+--> tail --> live.apply --> View --+
    HISTORY -+                                   +--> sections --> Board --/api/live---------> browser
    Store (services, chain, peers) --------------+    (each 1 s)     +-----/api/live/events--> (what changed)
    Accounts (owner, key) -----------------------+

    browser --/login, /account, /swarm--> web/*.py --> Accounts, Store
            --/api/ask--> ASKS --> trainer --> ANSWERS --> the browser that asked
    stock nodes --/api/register-peer, ...--> SUBMISSIONS
    coordinator --/sign, on a listener of its own--> signing/ --> the key
    rlswarm invite --/invite, there too------------> invite.py --> the key

The view is rebuilt from the streams at each start; accounts and the key are kept in STATE_DIR/identity.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import closing
from ipaddress import ip_address

from services.identity.accounts.accounts import Accounts
from services.identity.app import build_app
from services.identity.board import Board
from services.identity.live import View
from services.identity.parts import Parts
from services.identity.server import Server, server_of
from services.identity.settings import IdentitySettings
from services.identity.signing.api import signing_of
from services.identity.tail import refresh, tail
from shared.listening import listen
from shared.runtime import Context
from shared.streams import EVENTS, HISTORY, LEDGER, ROUNDS

log = logging.getLogger(__name__)


async def run(settings: IdentitySettings, context: Context) -> None:
    """Show the household's life until told to stop."""
    with (
        closing(await asyncio.to_thread(Accounts.open, settings)) as accounts,
        listen(settings.identity_host, settings.identity_port, "IDENTITY_PORT") as sock,
        listen(settings.signer_host, settings.signer_port, "SIGNER_PORT") as signer_sock,
    ):
        parts = Parts(settings, context, View(), Board(), accounts)
        host, port = sock.getsockname()[:2]
        context.health.facts |= {"port": port}
        bound = ip_address(host)
        here = "localhost" if bound.is_unspecified or bound.is_loopback else host
        log.info("the swarm's page is at http://%s:%d", here, port)
        servers = {server_of(build_app(parts)): sock}
        if (signing := signing_of(settings, accounts, context.store)) is not None:
            servers[server_of(signing)] = signer_sock
        async with asyncio.TaskGroup() as group:
            for stream in (ROUNDS, EVENTS, LEDGER, HISTORY):
                group.create_task(tail(stream, parts.view, context))
            group.create_task(refresh(parts))
            for server, where in servers.items():
                group.create_task(server.serve([where]))
            group.create_task(_end(servers, context))


async def _end(servers: Iterable[Server], context: Context) -> None:
    await context.stop.wait()
    for server in servers:
        server.should_exit = True
