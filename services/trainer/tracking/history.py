"""The numbers of a peer's rounds, kept as lines of JSON for as long as a run goes on.

<state>/history/<peer>.jsonl      one line a round: round, stage, at, and the values of `report.point`
                <peer>.old.jsonl  what stood there before it grew to 8 MiB; older lines are gone
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from services.trainer.tracking.tracker import Point

LARGEST = 8 * 2**20  # bytes of one file: some 25,000 rounds


class HistoryFile:
    """A `Tracker` that appends to a file."""

    def __init__(self, folder: Path, peer: str) -> None:
        self._path = folder / f"{peer}.jsonl"

    def write(self, point: Point) -> None:
        """See `Tracker.write`. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size >= LARGEST:
            self._path.replace(self._path.with_suffix(".old.jsonl"))
        with self._path.open("a") as file:
            file.write(as_line(point))

    def close(self) -> None:
        """Every line is written at once."""


def as_line(point: Point) -> str:
    """A point as a line of its own."""
    told = {"round": point.round, "stage": point.stage, "at": round(point.at, 3)}
    return json.dumps({**told, **{name: round(value, 6) for name, value in point.values.items()}}) + "\n"


def read_histories(folder: Path) -> dict[str, list[Point]]:
    """Each peer's points by round and stage; of one that was trained twice, the last. Raises OSError."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.jsonl"), key=lambda path: (not path.name.endswith(".old.jsonl"), path.name)):
        found.setdefault(path.name.split(".")[0], []).extend(path.read_text(errors="replace").splitlines())
    return {peer: points(lines) for peer, lines in sorted(found.items())}


def points(lines: Iterable[str]) -> list[Point]:
    """The points that lines tell, in order; a line that a crash cut off is left out."""
    found: dict[tuple[int, int], Point] = {}
    for line in lines:
        try:
            told = json.loads(line)
            point = Point(told.pop("round"), told.pop("stage"), told.pop("at"), told)
        except (ValueError, KeyError, AttributeError, TypeError):
            continue
        found[point.round, point.stage] = point
    return [point for _, point in sorted(found.items())]
