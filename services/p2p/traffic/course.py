"""An open round, and how far each peer's rollouts have come in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.p2p.traffic.choice import Need, is_enough
from services.p2p.traffic.pacing import SHORTEST_S
from services.p2p.traffic.watch import Watch
from shared.messages import Round


@dataclass
class Course:
    """A peer's rollouts of the open round, as far as they have come."""

    sha256: str
    informative: int  # groups, as their author claims
    tries: int = 0
    again_at: float = 0.0  # when the next fetch may begin
    busy: bool = False
    done: bool = False  # taken or dropped for good
    accepted: bool = False

    @property
    def counts(self) -> bool:
        """They are here, or on their way and have not failed yet."""
        return self.accepted or (not self.done and not self.tries)


@dataclass
class Open:
    """The open round and stage."""

    round: Round
    need: Need
    watch: Watch
    known: frozenset[str] = frozenset()  # peers heard in earlier stages of this round
    courses: dict[str, Course] = field(default_factory=dict)  # by peer
    wait_s: float = SHORTEST_S
    looks: int = 0  # since we have announced something in it
    closed: bool = False

    @property
    def heard(self) -> frozenset[str]:
        """Peers whose rollouts were taken."""
        return frozenset(peer for peer, course in self.courses.items() if course.accepted)

    @property
    def claims(self) -> list[int]:
        """What those claim whose rollouts are here or on their way."""
        return [course.informative for course in self.courses.values() if course.counts]

    @property
    def enough(self) -> bool:
        """Nobody else needs to be heard."""
        return is_enough(self.need, self.claims)

    @property
    def progress(self) -> tuple[int, int]:
        """Changes with everything that happens."""
        return len(self.courses), sum(course.done for course in self.courses.values())
