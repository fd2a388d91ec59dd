"""The judge: a fair exam for every peer of a round.

    trainer --POST /request-question/--> app --> bank      the round's question, the same for all
                                          | --> sessions   an unguessable id, kept in the store until it expires
    trainer --POST /submit-answer/-----> app --> sessions  taken: one answer a session
                                          | --> bank       reasoning-gym's own scorer, 0 to 1
                                          v
                                     {score}, metrics

The questions come from the trainer's task mix, from those that no trainer is given (shared/tasks.py).
"""

from __future__ import annotations

import asyncio
import logging

from services.judge.app import build_app
from services.judge.bank import Bank
from services.judge.server import Server, listen, server_of
from services.judge.sessions import Sessions
from services.judge.settings import JudgeSettings
from shared.runtime import Context
from shared.tasks import cache_of

log = logging.getLogger(__name__)

BEAT_S = 1.0


async def run(settings: JudgeSettings, context: Context) -> None:
    """Ask and score until told to stop."""
    bank = Bank(settings.data, cache_of(settings.state_dir))
    sessions = Sessions(context.store, bank.name, ttl_s=settings.session_ttl_s, bound=settings.max_sessions)
    server = server_of(build_app(bank, sessions))
    with listen(settings.judge_host, settings.judge_port, "JUDGE_PORT") as sock:
        host, port = sock.getsockname()[:2]
        context.health.facts |= {"port": port, "mix": bank.name}
        log.info("the judge answers on http://%s:%d with questions of the mix %s", host, port, bank.name)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([sock]))
            group.create_task(_beat_until_stopped(server, context))


async def _beat_until_stopped(server: Server, context: Context) -> None:
    """A beat shows that the event loop turns: the judge's work is to answer when asked."""
    while await context.sleep(BEAT_S):
        context.health.beat()
    server.should_exit = True
