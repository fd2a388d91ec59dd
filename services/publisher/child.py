"""A program of ours as a child that can be stopped at any time, and that is progress as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from shared.runtime import Context

LOOK_S = 1.0
STOP_S = 5.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True)
class Ended:
    """How a child ended; None as code: it was told to, because we are."""

    code: int | None
    said: str  # standard output
    complaint: str  # the last line on standard error


async def run_child(context: Context, module: str, arguments: Sequence[str], limit_s: float) -> Ended:
    """Run `python -m module`. It ends with us, and after `limit_s` at the latest."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    talk = asyncio.create_task(child.communicate())
    deadline = asyncio.get_running_loop().time() + limit_s
    try:
        while not talk.done() and not context.stop.is_set() and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait({talk, stop := asyncio.create_task(context.stop.wait())}, timeout=LOOK_S,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            stop.cancel()
            context.health.beat()
    finally:
        if not talk.done():
            await _end(child, talk)
    out, err = (part.decode(errors="replace") for part in talk.result())
    late = not context.stop.is_set() and child.returncode != 0 and asyncio.get_running_loop().time() >= deadline
    complaint = f"it was not through after {limit_s:.0f} s" if late else (err.strip().splitlines() or [""])[-1]
    return Ended(None if context.stop.is_set() and child.returncode != 0 else child.returncode, out, complaint)


async def _end(child: asyncio.subprocess.Process, talk: asyncio.Task[tuple[bytes, bytes]]) -> None:
    """With the programs that it runs itself: they are in its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    done, _ = await asyncio.wait({talk}, timeout=STOP_S)
    if not done:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.wait({talk})
