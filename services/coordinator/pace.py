"""The clock's rules: the settings, and what the founder wants instead. Pure."""

from __future__ import annotations

import math

from services.coordinator.rounds import Rules
from services.coordinator.settings import ClockSettings
from shared.household import Pace


def rules_of(settings: ClockSettings, pace: Pace, *, may_advance: bool) -> Rules:
    """The rules of an account that may or may not advance rounds; who does not lead has no pace to set."""
    leads = may_advance and settings.leads != "no"
    if not leads:
        return Rules(leads, settings.min_s, settings.max_s, settings.quorum, settings.max_rounds)
    min_s, max_s = _times(settings, pace)
    quorum = settings.quorum if pace.quorum is None else pace.quorum
    return Rules(leads, min_s, max_s, quorum, settings.max_rounds, paused=pace.paused)


def clock_of(pace: Pace | None) -> int | None:
    """After how many seconds anybody may end a stage, as the founder wants it; 0: nobody; None: nothing was said.

    The longest round that the founder names holds for everybody. While the swarm is paused, or where none is named,
    rounds end by the founder's own clock alone.
    """
    if pace is None:
        return None
    return 0 if pace.paused or pace.max_s is None else max(1, math.ceil(pace.max_s))


def _times(settings: ClockSettings, pace: Pace) -> tuple[float, float]:
    """Shortest and longest time of a round; where the founder's word crosses a setting, it moves that along."""
    min_s = settings.min_s if pace.min_s is None else pace.min_s
    max_s = settings.max_s if pace.max_s is None else pace.max_s
    if pace.max_s is None:
        return min_s, max(min_s, max_s)
    return min(min_s, max_s), max_s
