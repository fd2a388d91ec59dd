"""A circuit breaker, pure (Nygard, Release It!, 2007): who fails again and again is left alone for a while.

closed --FAILURES in a row--> open, for PAUSE_S --then--> one try --fails--> open, for twice as long, at most MAX_S
                                                                  --works--> closed
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FAILURES = 3  # in a row, until it is left alone
PAUSE_S = 10.0
MAX_S = 300.0
TRY_S = 10.0  # the one try is over by then; longer than any time limit of a request


@dataclass(frozen=True)
class Breaker:
    """`now` is of any clock that does not go back, in seconds."""

    failures: int = 0  # in a row
    until: float = float("-inf")  # nobody asks before

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        """`half-open`: the next request decides."""
        if self.failures < FAILURES:
            return "closed"
        return "open" if now < self.until else "half-open"

    def begun(self, now: float) -> Breaker:
        """A request goes out; of a half-open one it is the only one for a while."""
        return replace(self, until=now + TRY_S) if self.state(now) == "half-open" else self

    def failed(self, now: float) -> Breaker:
        """It failed."""
        failures = self.failures + 1
        pause = min(MAX_S, PAUSE_S * 2.0 ** min(failures - FAILURES, 16))
        return Breaker(failures, now + pause if failures >= FAILURES else self.until)

    def worked(self) -> Breaker:
        """It worked."""
        return Breaker()
