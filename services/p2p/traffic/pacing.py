"""How long to wait until the next look at the DHT. Pure."""

from __future__ import annotations

SHORTEST_S = 0.25  # every look costs a holder of the key an answer,
ENTRIES_A_SECOND = 16.0  # the longer the more there is: so many entries are asked for in a second, no more
GROWTH = 1.5
PATIENCE = 4.0  # when nothing more is expected, look so much less often


def next_wait(last_s: float, poll_s: float, *, news: bool, complete: bool, entries: int = 0) -> float:
    """Seconds: short when something has just changed, growing to `poll_s`, and beyond when nobody is missing.

    `entries`: how many were read at the last look.
    """
    shortest = max(SHORTEST_S, min(entries / ENTRIES_A_SECOND, poll_s))
    if news:
        return shortest
    longest = poll_s * PATIENCE if complete else poll_s
    return max(shortest, min(last_s * GROWTH, longest))
