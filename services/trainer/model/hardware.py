"""What there is to train on: which device, and how much memory of the GPU, or of this machine and its container."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from services.trainer.settings import PolicySettings
from shared.cgroup import Share, memory_share
from shared.errors import SettingsError
from shared.host import meminfo, resident_bytes


@dataclass(frozen=True)
class Memory:
    """Memory of the device that trains, in bytes."""

    kind: Literal["cpu", "cuda"]
    limit: int  # what this process may have, were it alone
    free: int  # what it may have now, what it holds already included


def visible_gpus() -> int:
    """How many GPUs torch sees; asking takes none of their memory."""
    return torch.cuda.device_count()


def device_of(settings: PolicySettings) -> torch.device:
    """The device that the settings name, or the best there is. Raises SettingsError."""
    if settings.cpu_only or settings.device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda" if settings.device == "auto" else settings.device)
        torch.cuda.set_device(device)  # what asks for the current GPU means this one
        return device
    if settings.device != "auto":
        raise SettingsError("DEVICE=cuda, and torch sees no GPU", "install a CUDA build of torch or set DEVICE=auto")
    return torch.device("cpu")


def measure(device: torch.device) -> Memory:
    """What the device has now. Touches CUDA only for a CUDA device."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Memory("cuda", total, free + torch.cuda.memory_reserved(device))
    told = meminfo() or {"MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")}
    return host_memory(told, memory_share(), resident_bytes())


def host_memory(told: Mapping[str, int], share: Share | None, own: int) -> Memory:
    """The tighter of the machine's memory and the container's share of it.

    `told` is /proc/meminfo in bytes (without MemAvailable, as on a Mac, all counts as free), `own` what this process
    holds.
    """
    size = told["MemTotal"]
    free = min(size, told.get("MemAvailable", size) + own)
    if share is None or share.limit >= size:
        return Memory("cpu", size, free)
    return Memory("cpu", share.limit, max(0, min(free, share.limit - share.used + own, share.limit)))
