"""Progress of a service that has several loops: it advances when all of them have."""

from __future__ import annotations

from shared.health import Health


class Pulse:
    """Beats once every part has advanced since the last beat."""

    def __init__(self, health: Health, *parts: str) -> None:
        self._health, self._parts = health, frozenset(parts)
        self._missing = set(parts)

    def advance(self, part: str) -> None:
        """This loop has come round once more."""
        self._missing.discard(part)
        if not self._missing:
            self._health.beat()
            self._missing = set(self._parts)
