"""What the machine leaves for this service, as metrics: disk, memory, load. Read anew at each scrape.

What a system does not tell (there is no /proc on a Mac) is left out.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.cgroup import memory_share

MEMINFO = Path("/proc/meminfo")
STATM = Path("/proc/self/statm")


def export(folder: Path) -> None:
    """Add the host's metrics to those of this process; once. The disk is the one that holds `folder`."""
    REGISTRY.register(HostCollector(folder))


class HostCollector(Collector):
    """Looks at the host when it is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All that can be known now."""
        yield from _disk(self._folder)
        yield from _memory()
        yield _gauge("swarm_host_load_tasks", "Tasks that run or want to, mean of a minute", os.getloadavg()[0])
        yield _gauge("swarm_host_cpu_cores", "Cores of the host", os.cpu_count() or 1)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value)


def _disk(folder: Path) -> Iterator[GaugeMetricFamily]:
    """Before the service has made its folder, the disk is that of the nearest folder above."""
    place = next(there for there in (folder, *folder.parents) if there.exists())
    try:
        usage = shutil.disk_usage(place)
    except OSError:  # a disk that was pulled out
        return
    yield _gauge("swarm_host_disk_size_bytes", "Size of the disk that holds this service's state", usage.total)
    yield _gauge("swarm_host_disk_free_bytes", "What this service may still write there", usage.free)


def resident_bytes() -> int:
    """What this process holds in memory; its highest so far where the system does not tell (macOS)."""
    try:
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _memory() -> Iterator[GaugeMetricFamily]:
    told = meminfo()
    if "MemTotal" not in told or "MemAvailable" not in told:
        return
    size, available = told["MemTotal"], told["MemAvailable"]
    yield _gauge("swarm_host_memory_size_bytes", "Memory of the host", size)
    yield _gauge("swarm_host_memory_available_bytes", "Memory of the host that can be had without swapping", available)
    share = memory_share()
    own = share is not None and share.limit < size
    limit, used = (share.limit, share.used) if share and own else (size, size - available)
    yield _gauge("swarm_service_memory_limit_bytes", "What this service's container, or else the host, may use", limit)
    yield _gauge("swarm_service_memory_used_bytes", "Memory used within that limit, by all that share it", used)
    yield _gauge("swarm_service_memory_limited", "1 if the limit is the container's own, 0 if it is the host", own)


def meminfo() -> dict[str, int]:
    """The kernel's own figures of the machine's memory, in bytes (its kB are 1024); none on a Mac."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return {}
    words = (line.replace(":", " ").split() for line in lines)
    return {name: int(number) * 1024 for name, number, *_ in words}
