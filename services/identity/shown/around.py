"""What the page shows beside the streams: the household's state as of now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from services.identity.shown.market import Seen
from shared.exams import ExamBoard
from shared.household import Activity, PeerNote, ServiceState, SwarmState


@dataclass(frozen=True)
class Around:
    """One look at the store, the accounts and the settings."""

    states: Sequence[ServiceState] = ()
    chain: SwarmState | None = None
    hosted: Sequence[str] = ()
    notes: Sequence[PeerNote] = ()
    activities: Mapping[str, Activity] = field(default_factory=dict)
    key: Literal["none", "locked", "ready"] = "ready"  # of the household
    owned: bool = True  # somebody has signed up
    exams: ExamBoard | None = None  # None: no judge has told
    market: Seen | None = None  # None: there is none
    explorer: str | None = None  # where transactions can be looked at, with {hash} in it

    def shown(self) -> Around:
        """Without what is new in every report and shown on no page."""
        return Around(
            [_quiet(state) for state in self.states],
            self.chain,
            self.hosted,
            self.notes,
            self.activities,
            self.key,
            self.owned,
            self.exams,
            self.market,
            self.explorer,
        )


def _quiet(state: ServiceState) -> ServiceState:
    """Memory in steps that matter, and no clock."""
    memory = float(f"{state.memory_mib:.2g}")
    return state.model_copy(update={"at": 0.0, "progress_age_s": 0.0, "memory_mib": memory})
