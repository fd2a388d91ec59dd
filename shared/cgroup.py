"""How much memory this process's control group may use, and uses (Linux, cgroup v1 and v2; containers are such groups).

/proc/self/cgroup --> the group's folder --> its parents, up to the root --> the tightest limit of all
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Files:
    """The names of one version's files."""

    limit: str
    usage: str
    idle: str  # the line of memory.stat that counts file cache which the kernel gives back before it kills


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True)
class Share:
    """Memory of a control group, in bytes."""

    limit: int  # v1 writes a huge number for "none"
    used: int  # by all its processes, without the file cache that can be given back


def memory_share(proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")) -> Share | None:
    """The tightest share that this process lives in; None without any limit, or where there are no cgroups."""
    shares = [share for folder, files in _groups(proc, mount) if (share := _share(folder, files))]
    return min(shares, key=lambda share: share.limit, default=None)


def _groups(proc: Path, mount: Path) -> Iterator[tuple[Path, _Files]]:
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _upwards(mount, path, _V2)
        elif "memory" in controllers.split(","):
            yield from _upwards(mount / "memory", path, _V1)


def _upwards(base: Path, path: str, files: _Files) -> Iterator[tuple[Path, _Files]]:
    """A group and its parents. In a container the path may be the host's: then only `base`, our own group, is there."""
    folder = base / path.lstrip("/")
    while folder != base:
        yield folder, files
        folder = folder.parent
    yield base, files


def _share(folder: Path, files: _Files) -> Share | None:
    try:
        limit = (folder / files.limit).read_text().strip()
        if limit == "max":
            return None
        used = int((folder / files.usage).read_text())
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except OSError:  # not there, or not ours to read
        return None
    return Share(limit=int(limit), used=max(0, used - int(counts.get(files.idle, 0))))
