"""One GPU for each trainer of a host, though every container sees all of them.

    <state>/gpus/<name>.lock    held by the trainer that uses this GPU; free again when its process has ended

Claimed before CUDA is touched, so that no trainer takes memory on a GPU that is another's. A trainer that finds all
taken waits: two that share one would take twice as long each, and may run out of its memory in the middle of a round.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from services.trainer.settings import PolicySettings
from services.trainer.state.locks import try_lock
from shared.errors import SettingsError
from shared.runtime import Context

LISTS = ("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")  # outer first: what a container sees, what a process takes
WAIT_S = 1.0


async def claim_device(
    settings: PolicySettings, folder: Path, context: Context, count: int, held: ExitStack
) -> PolicySettings | None:
    """The settings with the device to use, whose lock `held` keeps; `count` GPUs are visible. None if told to stop.

    Raises SettingsError if the settings name a GPU that is not there.
    """
    wanted = candidates(settings, count)
    if not wanted:
        return settings
    names = gpu_names(count, os.environ)
    while not context.stop.is_set():
        if (found := first_free(folder, [(index, names[index]) for index in wanted])) is not None:
            index, lock = found
            held.enter_context(lock)
            context.health.heal("gpu")
            context.health.facts["device"] = f"cuda:{index}"
            return settings.model_copy(update={"device": f"cuda:{index}"})
        reason = (
            f"each of the {len(wanted)} GPUs is another trainer's; waiting for one (start fewer, or set DEVICE=cpu)"
        )
        context.health.degrade("gpu", reason)
        context.health.beat()
        await context.sleep(WAIT_S)
    return None


def candidates(settings: PolicySettings, count: int) -> Sequence[int]:
    """Indices of the GPUs that will do, of `count`; none: the CPU. Raises SettingsError."""
    if settings.cpu_only or settings.device == "cpu":
        return ()
    _, _, index = settings.device.partition(":")
    if settings.device != "auto" and int(index or 0) >= count:
        cause = f"DEVICE={settings.device}, and torch sees {count or 'no'} GPU{'s' * (count != 1)}"
        raise SettingsError(cause, "install a CUDA build of torch, pass the GPUs to the container, or set DEVICE=auto")
    return (int(index),) if index else range(count)


def gpu_names(count: int, environ: Mapping[str, str]) -> list[str]:
    """What each visible GPU is called on this host, also where trainers see different ones of them."""
    names: list[str] = []
    for variable in LISTS:
        listed = [part.strip() for part in environ.get(variable, "").split(",") if part.strip()]
        if listed in ([], ["all"], ["none"], ["void"]):
            continue
        names = [names[int(one)] if one.isdecimal() and int(one) < len(names) else one for one in listed]
    return names if len(names) == count else [str(index) for index in range(count)]


def first_free(folder: Path, gpus: Sequence[tuple[int, str]]) -> tuple[int, IO[bytes]] | None:
    """The first GPU (index, name) that nobody holds, and its lock. Raises OSError."""
    for index, name in gpus:
        if (lock := try_lock(folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}.lock")) is not None:
            return index, lock
    return None
