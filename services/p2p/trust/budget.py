"""So many bytes a minute for each who asks, and for all together. Pure: time is an argument."""

from __future__ import annotations

from collections import Counter

WINDOW_S = 60.0
MAX_ASKERS = 4_096  # told apart in a window; whoever comes then waits for the next


class Budget:
    """What was given in the present minute."""

    def __init__(self, each: int, total: int) -> None:
        """Bytes a minute."""
        self._each, self._total = each, total
        self._given: Counter[str] = Counter()
        self._all, self._since = 0, float("-inf")

    def take(self, who: str, size: int, now: float) -> bool:
        """Whether `who` may have `size` bytes more now; if so, they count. `now`: seconds that never go back."""
        if now >= self._since + WINDOW_S:
            self._given.clear()
            self._all, self._since = 0, now
        if self._given[who] + size > self._each or self._all + size > self._total:
            return False
        if who not in self._given and len(self._given) >= MAX_ASKERS:
            return False
        self._given[who] += size
        self._all += size
        return True
