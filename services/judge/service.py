"""The judge: a fair exam for every peer of a round.

    trainer --POST /request-question/--> app --> exam --> desk      open already? the same again; answered? no more
                                                   | --> upstream  another judge, behind a circuit breaker; or
                                                   | --> bank      the round's question, the same for all
    trainer --POST /submit-answer/-----> app --> exam --> desk      taken: one answer a session
                                                   | --> bank      reasoning-gym's own scorer, 0 to 1 (or upstream)
                                                   | --> desk      the result, kept in the store
    trainer --GET /current_clue/---> app --> market                 the prediction market's game (PRG_GAME)
    browser --GET /leaderboard/---> app              +-----> ExamBoard in the store --> identity

The questions come from the trainer's task mix, from those that no trainer is given (shared/tasks.py).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from services.judge.app import build_app
from services.judge.bank import Bank
from services.judge.desk import Desk
from services.judge.exam import Exam
from services.judge.market import Market
from services.judge.server import Server, server_of
from services.judge.settings import JudgeSettings
from services.judge.upstream import Upstream
from shared.exams import ExamBoard, put_exam_board
from shared.listening import listen
from shared.runtime import Context
from shared.tasks import cache_of

log = logging.getLogger(__name__)

BEAT_S = 1.0


async def run(settings: JudgeSettings, context: Context) -> None:
    """Ask and score until told to stop."""
    bank = Bank(settings.data, cache_of(settings.state_dir))
    desk = Desk(context.store, bank.name, ttl_s=settings.session_ttl_s, bound=settings.max_sessions)
    await desk.load()
    async with AsyncExitStack() as stack:
        upstream = None
        if settings.upstream_url:
            upstream = Upstream(settings.upstream_url, settings.upstream_timeout_s, context.health)
            stack.push_async_callback(upstream.close)
        exam = Exam(bank, desk, upstream)
        market = Market(bank, context, upstream)
        server = server_of(build_app(exam, lambda: market.clue))
        sock = stack.enter_context(listen(settings.judge_host, settings.judge_port, "JUDGE_PORT"))
        host, port = sock.getsockname()[:2]
        context.health.facts |= {"port": port, "mix": bank.name}
        log.info("the judge answers on http://%s:%d with questions of the mix %s", host, port, bank.name)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([sock]))
            group.create_task(_show(exam, server, context))
            if settings.prg_game:
                group.create_task(market.run())


async def _show(exam: Exam, server: Server, context: Context) -> None:
    """The leaderboard for the page, when it has changed; a beat shows that the event loop turns."""
    shown: ExamBoard | None = None
    while await context.sleep(BEAT_S):
        if (board := exam.board()) != shown:
            await put_exam_board(context.store, board)
            shown = board
        context.health.beat()
    server.should_exit = True
