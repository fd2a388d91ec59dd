"""The life of a service: settings, log, queue, signals, health that means progress, metrics, and an honest exit code.

Every `services/<name>/__main__.py` reads

    settings = start("p2p", P2PSettings)       # exit 2 and one line when a setting is wrong
    from services.p2p.service import run       # heavy imports only now
    sys.exit(serve("p2p", settings, run))      # exit 0 when told to stop, 1 when a part died, 2 as above

and `run(settings, context)` is the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from prometheus_client import Gauge

from shared import host, logs
from shared.errors import SettingsError, SwarmError
from shared.health import Health, serve_http
from shared.household import ServiceState, count_start, put_service_state
from shared.queue import Queue, Store
from shared.queue.metrics import measure
from shared.queue.redis import RedisError, RedisQueue, RedisStore, connect
from shared.settings import ServiceSettings, load

S = TypeVar("S", bound=ServiceSettings)
log = logging.getLogger(__name__)

GRACE_S = 8.0  # from the stop signal to cancellation
REPORT_S = 2.0  # between two reports of a service's state

REPORTED = Gauge("swarm_service_reported_timestamp_seconds", "When Redis last took this service's report", ["service"])


@dataclass
class Context:
    """What a running service holds."""

    queue: Queue
    store: Store
    health: Health
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> bool:
        """Wait, or less if told to stop; True while the service should go on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return not self.stop.is_set()


def start(name: str, model: type[S]) -> S:
    """Settings and log of a service, or the end of the process with one line."""
    gc.disable()  # until it serves: what is imported till then stays, and looking for garbage in it takes a tenth
    try:
        settings = load(name, model, sys.argv[1:])
    except SettingsError as error:
        logs.setup(name)
        log.error("%s", error)
        sys.exit(error.exit_code)
    logs.setup(name, settings.log_level)
    host.export(settings.state_dir)
    return settings


def serve(name: str, settings: S, run: Callable[[S, Context], Awaitable[None]]) -> int:
    """Run a service until it ends, is told to stop, or dies; its exit code."""
    gc.freeze()  # what was imported is never looked at again
    gc.enable()
    try:
        asyncio.run(_serve(name, settings, run))
    except BaseExceptionGroup as group:
        return _report(name, _first(group))
    except (SwarmError, RedisError, OSError) as error:
        return _report(name, error)
    log.info("%s stopped", name)
    return 0


async def _serve(name: str, settings: S, run: Callable[[S, Context], Awaitable[None]]) -> None:
    client = connect(settings.redis_url, settings.redis_password())
    health = Health(name, settings.instance, settings.health_bound_s)
    context = Context(RedisQueue(client), RedisStore(client), health)
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, context.stop.set)
    with serve_http(health, settings.http_host, settings.http_port) as port:
        log.info("%s is up, health and metrics on port %d", name, port)
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(_until_done(run(settings, context), context))
                group.create_task(_report_state(context, port, work))
                group.create_task(_end(context, work))
        finally:
            await context.queue.close()


async def _until_done(work: Awaitable[None], context: Context) -> None:
    try:
        await work
    finally:
        context.stop.set()


async def _end(context: Context, work: asyncio.Task[None]) -> None:
    """After the stop signal, give the work a moment to end by itself."""
    await context.stop.wait()
    done, _ = await asyncio.wait({work}, timeout=GRACE_S)
    if not done:
        log.warning("not through after %.0f s, cancelled", GRACE_S)
        work.cancel()


async def _report_state(context: Context, port: int, work: asyncio.Task[None]) -> None:
    """Tell the household how this service is, and Prometheus how its queues are, until it ends."""
    health = context.health
    reported = REPORTED.labels(health.service)
    reported.set_to_current_time()  # a service that never got through is as old as its start
    starts = await count_start(context.store, health.service, health.instance)
    while not work.done():
        told = {"starts": starts, "memory_mib": round(host.resident_bytes() / 2**20, 1), **health.state()}
        await put_service_state(context.store, ServiceState(pid=os.getpid(), port=port, at=time.time(), **told))
        await measure(context.queue, health.service)
        reported.set_to_current_time()
        await asyncio.wait({work}, timeout=REPORT_S)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _report(name: str, error: BaseException) -> int:
    """One line for what is expected to happen in the field; a trace too for what is not."""
    if isinstance(error, SwarmError):
        log.error("%s", error)
    elif isinstance(error, RedisError):
        log.error("Redis does not answer (%s). See that it runs at the address in REDIS_URL.", error)
    elif isinstance(error, OSError):
        log.error("%s: %s. See the disk, the ports and the permissions.", type(error).__name__, error)
    else:
        log.error("%s died of a bug: %s: %s", name, type(error).__name__, error, exc_info=error)
    return error.exit_code if isinstance(error, SwarmError) else 1
