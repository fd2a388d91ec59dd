"""The ends of log files."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 64_000
_TRACE = re.compile(r"^\s|^Traceback|^$")


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file; none if it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-lines:] if lines else []


def last_line(path: Path) -> str:
    """The last line that says something: inside of a traceback does not count."""
    return next((line for line in reversed(tail(path, 200)) if not _TRACE.match(line)), "")


def last_exit(supervisor_log: Path, program: str) -> str:
    """How a program ended last, in supervisord's words: `exit status 1`, `terminated by SIGKILL`; "" if never.

    Its events do not tell this for a program that ended soon after its start; its log does.
    """
    ended = re.compile(rf" exited: {re.escape(program)} \((.+?); (?:not )?expected\)$")
    for path in (supervisor_log, supervisor_log.with_name(supervisor_log.name + ".1")):
        for line in reversed(tail(path, 1_000)):
            if match := ended.search(line):
                return match[1]
    return ""
