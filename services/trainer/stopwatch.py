"""Seconds of each phase of a round."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.trainer.metrics import PHASE
from shared.messages import Phase


class Stopwatch:
    """`with watch("update"): ...` adds to `watch.seconds["update"]` and to the metric."""

    def __init__(self) -> None:
        self.seconds: dict[Phase, float] = {}

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        """Time a block."""
        start = time.perf_counter()
        yield
        self.seconds[phase] = time.perf_counter() - start
        PHASE.labels(phase).observe(self.seconds[phase])
