"""Whether this machine, or this container, can do it: Python, packages, memory, disk, clock."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from services.doctor.check import Check
from shared.cgroup import memory_share
from shared.host import meminfo
from shared.settings import config_dir

GIB = 2**30
BASE_BYTES, PEER_BYTES = GIB, GIB // 2  # with the embedded model
DISK_BYTES = 2 * GIB  # logs, state and checkpoints of the embedded model
SKEW_S = 30.0  # peers' announcements and rounds' ends are told in time
WRITTEN = 1_760_000_000.0  # unix seconds; this software is younger


def python(version: Sequence[int] = sys.version_info[:3]) -> Check:
    """Between 3.11 and 3.12."""
    text = ".".join(map(str, version[:3]))
    good = (3, 11) <= tuple(version[:2]) <= (3, 12)
    return Check("python", good, text if good else f"this is Python {text}", "install Python 3.11 or 3.12: make setup")


def versions(path: list[str] | None = None, pins: Path | None = None) -> Check:
    """What is installed, by what it was tested with; what is not installed is not missed here."""
    file = pins or config_dir() / "constraints.txt"
    try:
        wanted = dict(_pins(file.read_text().splitlines()))
    except OSError as error:
        return Check("versions", None, f"{file} cannot be read ({error.strerror})", "see RLSWARM_CONFIG")
    there = {
        _plain(str(one.metadata["Name"])): one.version
        for one in (distributions(path=path) if path is not None else distributions())
        if one.metadata["Name"]
    }
    odd = [f"{name} {there[name]} (tested: {pin})" for name, pin in wanted.items() if _differs(there.get(name), pin)]
    if not odd:
        return Check("versions", True, f"{len(wanted.keys() & there)} packages are of the tested versions")
    shown = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
    return Check("versions", False, shown, "run: make setup, or pip install -c config/constraints.txt what is named")


def memory(peers: int, available: int | None = None) -> Check:
    """Enough for the embedded model, within the container's bound; a larger one needs more, which nobody knows here."""
    free, needed = available_bytes() if available is None else available, BASE_BYTES + peers * PEER_BYTES
    said = f"{free / GIB:.1f} GiB free, {needed / GIB:.1f} wanted for {peers} peers"
    if free >= needed:
        return Check("memory", True, said)
    bad = False if free < needed / 2 else None
    return Check("memory", bad, said, "use fewer peers, end what holds it, or raise the container's bound")


def available_bytes(proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")) -> int:
    """What can still be had: by the machine, and by the control group."""
    told, share = meminfo(), memory_share(proc, mount)
    free = told.get("MemAvailable", os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return free if share is None else max(0, min(free, share.limit - share.used))


def disk(folder: Path) -> Check:
    """Room for what must survive, and the right to write it."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))  # a file that is empty fits onto a full disk
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Check(
            "disk",
            False,
            f"{there} cannot be written ({error.strerror})",
            "make room, see its owner and mode, or move STATE_DIR",
        )
    said = f"{free / GIB:.1f} GiB free at {there}"
    return Check("disk", free >= DISK_BYTES, said, f"make room: {DISK_BYTES / GIB:.0f} GiB at least, or move STATE_DIR")


@dataclass(frozen=True)
class Told:
    """Somebody else's time."""

    who: str
    at: float  # unix seconds
    exact: bool  # False: it was at that time or later, as a block is


def clock(now: float, others: Iterable[Told]) -> Check:
    """Our clock by others' (blocks of the chain, servers' answers), and by the age of this software."""
    remedy = "set the clock: timedatectl set-ntp true, or start ntpd or chronyd"
    if now < WRITTEN:
        return Check("clock", False, "it is before this software was written", remedy)
    told = list(others)
    for one in told:
        ahead = now - one.at
        if ahead < -SKEW_S or (one.exact and ahead > SKEW_S):
            way = "behind" if ahead < 0 else "ahead of"
            return Check("clock", False, f"{abs(ahead):.0f} s {way} {one.who}", remedy)
    if not told:
        return Check("clock", None, "nobody is there to compare it with", "look again when chain or hub can be reached")
    return Check("clock", True, f"as {', '.join(one.who for one in told)}")


def _pins(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if found := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;#]+)", line):
            yield _plain(found[1]), found[2]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _differs(version: str | None, pin: str) -> bool:
    """A build's own mark (+cpu, or that of what stands in vendor/) makes no other version."""
    return version is not None and version.partition("+")[0] != pin.partition("+")[0]
