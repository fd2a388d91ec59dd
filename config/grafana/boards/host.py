"""What the machine has left: disk, memory, cores."""

from __future__ import annotations

import parts
from grafana_foundation_sdk.builders.dashboard import Dashboard
from parts import lines, number

SCARCE: parts.Steps = [(None, "red"), (0.03, "orange"), (0.1, "green")]


def board() -> Dashboard:
    """Every service sees the same host; of disks, that of its own state."""
    return parts.board("host", "Host", "Is the machine large enough?", [*_now(), *_over_time()])


def _now() -> list[parts.Panel]:
    return [
        number("Disk free", "Of the fullest disk that holds a service's state.", "swarm:disk_free:ratio",
               unit="percentunit", steps=SCARCE, decimals=1, span=6),
        number("Memory available", "Without swapping.", "swarm:host_memory_available:ratio",
               unit="percentunit", steps=SCARCE, decimals=1, span=6),
        number("Load", "Tasks that run or want to, for each core. Above 100 % they wait for each other.",
               "max(swarm_host_load_tasks / swarm_host_cpu_cores)", unit="percentunit",
               steps=[(None, "green"), (1, "orange"), (2, "red")], decimals=0, span=6),
        number("Cores", "Of the host.", "max(swarm_host_cpu_cores)", decimals=0, span=6),
    ]  # fmt: skip


def _over_time() -> list[parts.Panel]:
    return [
        lines(
            "Disk",
            "Free space where each service keeps its state.",
            ("min by (job) (swarm_host_disk_free_bytes)", "{{job}}"),
            ("max(swarm_host_disk_size_bytes)", "size of the largest"),
            unit="bytes",
            colours={"size of the largest": "red"},
        ),
        lines(
            "Memory",
            "What can still be had, of all there is.",
            ("min(swarm_host_memory_available_bytes)", "available"),
            ("max(swarm_host_memory_size_bytes)", "size"),
            unit="bytes",
            colours={"available": "blue", "size": "red"},
        ),
        lines(
            "Load",
            "Tasks that run or want to, and the cores there are for them.",
            ("max(swarm_host_load_tasks)", "tasks"),
            ("max(swarm_host_cpu_cores)", "cores"),
            colours={"tasks": "blue", "cores": "red"},
        ),
        lines(
            "CPU, by service",
            "Cores in use by the services' own processes.",
            ("sum by (job) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{job}}"),
            stacked=True,
        ),
        lines(
            "Memory, by service",
            "Resident memory of the services' own processes.",
            ("sum by (job) (process_resident_memory_bytes)", "{{job}}"),
            unit="bytes",
            stacked=True,
        ),
        lines(
            "Open files",
            "In parts of what each process may open. Near 100 % it can accept no connection any more.",
            ("max by (job) (process_open_fds / process_max_fds)", "{{job}}"),
            unit="percentunit",
            limit=parts.FULLNESS,
        ),
    ]
