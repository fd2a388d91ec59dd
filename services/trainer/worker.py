"""The one thread in which the model works, while the event loop goes on with messages and health.

Always the same thread: what torch frees can be used again only in the memory arena of the thread that had it, and every
thread has its own. With the event loop's pool, whose threads take turns, a trainer of the embedded model grew to twice
its size (`benchmarks/soak.py`). Nothing here may wait for anything else here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")


async def work(function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """What the function returns or raises; it runs in the model's thread, one call after the other."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, lambda: function(*args, **named))
