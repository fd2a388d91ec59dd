"""What the doctor says: one thing that was looked at, and what all of it means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Part = Literal["settings", "machine", "around"]
FIT, MACHINE, SETTINGS, AROUND = 0, 1, 2, 3  # exit codes: nothing is wrong, or where the first thing is that is
_CODES: dict[Part, int] = {"settings": SETTINGS, "machine": MACHINE, "around": AROUND}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool | None  # None: worth knowing, and nothing that has to be mended
    found: str  # the cause, where it is not well
    remedy: str = ""
    part: Part = "machine"


def exit_code(checks: Sequence[Check]) -> int:
    """0, or the code of the first part that is not well: settings, then the machine, then what it talks to."""
    bad = {check.part for check in checks if check.ok is False}
    return next((_CODES[part] for part in ("settings", "machine", "around") if part in bad), FIT)


def as_line(check: Check) -> str:
    """For people; a remedy only where one is needed."""
    mark = {True: "ok  ", None: "note", False: "bad "}[check.ok]
    remedy = f": {check.remedy}" if check.remedy and not check.ok else ""
    return f"{mark} {check.name:<9} {check.found}{remedy}"


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """For programs."""
    return {"code": exit_code(checks), "checks": [asdict(check) for check in checks]}
