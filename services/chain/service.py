"""The chain's life: anvil as a child, its state made whole before it starts and copied while it runs.

    others --gate.py, harmless calls only--> anvil, on this machine only
    prepare_state --> anvil --state.json, every second--> keep_copy, every few seconds --> state.json.copy
                        |
    health <--block number

It needs no Redis: a chain serves other households too, whatever becomes of this one's queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
from typing import Any

from services.chain import metrics
from services.chain.anvil import anvil_command, dies_with_parent, newest_block
from services.chain.gate import gate_to, unused_port
from services.chain.settings import ChainSettings
from services.chain.state import keep_copy, prepare_state
from shared.errors import SwarmError
from shared.health import Health, serve_http
from shared.listening import listen

log = logging.getLogger(__name__)

LOOK_S = 1.0  # between two questions for the newest block
COPY_EVERY = 5  # looks
STOP_S = 8.0  # anvil writes its state when it is told to stop


def serve(settings: ChainSettings) -> int:
    """Run the chain until told to stop; the exit code."""
    try:
        asyncio.run(_serve(settings))
    except (SwarmError, OSError) as error:
        log.error("%s", error)
        return 1
    log.info("chain stopped")
    return 0


async def _serve(settings: ChainSettings) -> None:
    health = Health("chain", settings.instance, settings.health_bound_s)
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    with (
        serve_http(health, settings.http_host, settings.http_port) as port,
        contextlib.closing(listen(settings.chain_host, settings.chain_port, "CHAIN_PORT")) as sock,
    ):
        origin, inner = prepare_state(settings.state_file), settings.anvil_port or unused_port()
        anvil = await asyncio.create_subprocess_exec(*_command(settings, inner))
        said = "the chain is on port %d, anvil itself on 127.0.0.1:%d, its state is %s, health on port %d"
        log.info(said, settings.chain_port, inner, origin, port)
        async with gate_to(inner, sock) as gate:
            watch = asyncio.create_task(_watch(inner, settings, health))
            await _first_of(watch, gate, asyncio.create_task(anvil.wait()), asyncio.create_task(stop.wait()))
        if not stop.is_set():
            if anvil.returncode is None:
                anvil.kill()
                for task in (watch, gate):
                    if task.done() and not task.cancelled():
                        task.result()  # says why
            raise SwarmError(f"anvil ended with {anvil.returncode}", "it is started again; see what it said before")
        await _end(anvil)


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one has ended; the first, which never ends by itself, is cancelled then."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in (tasks[0], tasks[-1]):
        task.cancel()


def _command(settings: ChainSettings, port: int) -> list[str]:
    binary = shutil.which(settings.anvil)
    if binary is None:
        raise SwarmError(f"there is no {settings.anvil} to be run", "install anvil, or set ANVIL_BIN to it")
    return dies_with_parent(
        anvil_command(
            binary,
            host="127.0.0.1",
            port=port,
            chain_id=settings.chain_id,
            state=settings.state_file,
        )
    )


async def _watch(port: int, settings: ChainSettings, health: Health) -> None:
    """Ask for the newest block, and keep a copy of every state that is whole."""
    copied_at, looks = 0, 0
    while True:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # silence makes the health age
            block = await asyncio.to_thread(newest_block, port)
            metrics.BLOCK.set(block)
            health.facts["block"] = block
            health.beat()
        looks += 1
        if looks % COPY_EVERY == 0:
            copied_at = await asyncio.to_thread(_copy, settings, health, copied_at)
        await asyncio.sleep(LOOK_S)


def _copy(settings: ChainSettings, health: Health, copied_at: int) -> int:
    """Keep a copy if the state has changed since the last one; when the copied state was written, in ns."""
    state = settings.state_file
    try:
        status = state.stat()
        metrics.STATE_BYTES.set(status.st_size)
        if status.st_mtime_ns != copied_at and keep_copy(state):
            metrics.COPIES.inc()
            copied_at = status.st_mtime_ns
        health.heal("disk")
    except FileNotFoundError:
        pass  # before the first dump
    except OSError as error:
        health.degrade("disk", f"the chain's state cannot be copied ({error.strerror}); free some space")
    return copied_at


async def _end(anvil: asyncio.subprocess.Process) -> None:
    """Let anvil write its state."""
    anvil.terminate()
    try:
        await asyncio.wait_for(anvil.wait(), STOP_S)
    except TimeoutError:
        log.warning("anvil did not end within %.0f s, killed", STOP_S)
        anvil.kill()
        await anvil.wait()
