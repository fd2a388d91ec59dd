"""How long to wait until the next look at the DHT. Pure."""

from __future__ import annotations

SHORTEST_S = 0.25  # every look costs all holders of the key an answer
GROWTH = 1.5
PATIENCE = 4.0  # when nothing more is expected, look so much less often


def next_wait(last_s: float, poll_s: float, *, news: bool, complete: bool) -> float:
    """Seconds: short when something has just changed, growing to `poll_s`, and beyond when nobody is missing."""
    if news:
        return SHORTEST_S
    longest = poll_s * PATIENCE if complete else poll_s
    return max(SHORTEST_S, min(last_s * GROWTH, longest))
