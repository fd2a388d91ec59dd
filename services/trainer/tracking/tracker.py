"""What each round came to, as a handful of numbers, and where they are kept for people to plot.

    loop --record--> 64 points at most --> a thread --> history file, always; TensorBoard and W&B when asked

Nothing of this holds up or ends the training: a tracker that fails is named as degraded, and the others go on.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from shared.health import Health

WAITING = 64  # points; a disk that stands still for so many rounds loses those that follow
CLOSE_S = 5.0  # for what waits to be written when the trainer ends


@dataclass(frozen=True)
class Point:
    """One round's (and stage's) numbers, by the names of `report.point`."""

    round: int
    stage: int
    at: float  # unix seconds
    values: Mapping[str, float]


class Tracker(Protocol):
    """Where points are kept. Its methods may block and may raise anything: they are called in a thread of their own."""

    def write(self, point: Point) -> None:
        """Keep a point."""

    def close(self) -> None:
        """Write what is still held; nothing follows."""


class Tracks:
    """All trackers, by name, behind one bounded queue."""

    def __init__(self, trackers: Mapping[str, Tracker], health: Health) -> None:
        self._trackers, self._health = trackers, health
        self._points: queue.Queue[Point | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, daemon=True, name="tracking")

    def record(self, point: Point) -> None:
        """Have a point kept soon; dropped, and said so, where too many wait."""
        if not self._thread.is_alive():
            self._thread.start()
        try:
            self._points.put_nowait(point)
        except queue.Full:
            self._health.degrade("tracking", f"{WAITING} rounds wait to be written; the numbers of later ones are lost")
        else:
            self._health.heal("tracking")

    def close(self) -> None:
        """Write what waits, for some seconds at most; nothing follows."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._points.put(None, timeout=CLOSE_S)
            self._thread.join(CLOSE_S)

    def _write(self) -> None:
        while (point := self._points.get()) is not None:
            for name, tracker in self._trackers.items():
                self._try(name, partial(tracker.write, point))
        for name, tracker in self._trackers.items():
            self._try(name, tracker.close)

    def _try(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a full disk, or whatever a tracker of others comes up with
            self._health.degrade(name, f"its numbers are not kept: {type(error).__name__}: {error}")
        else:
            self._health.heal(name)
