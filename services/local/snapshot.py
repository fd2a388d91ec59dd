"""One look at a run, as people are shown it. Pure: what was read goes in, what is shown comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from services.local.history import History
from services.local.supervisor import ProgramState
from shared.household import ServiceState, SwarmState
from shared.messages import Trained
from shared.names import name_of

RECENT = 10  # rounds of the moving mean
PACE_ROUNDS = 20  # rounds from which the time to go is reckoned


@dataclass(frozen=True)
class PeerRow:
    """A peer of this household."""

    peer: str
    name: str
    round: int
    reward: float | None  # mean of its completions in its last round
    rewards: tuple[float, ...]  # of all its rounds, oldest first
    external_groups: int  # trained on, since the start
    points: int  # on the chain; thousandths of a reward

    @property
    def recent(self) -> float | None:
        """Mean of its last rounds."""
        return fmean(self.rewards[-RECENT:]) if self.rewards else None


@dataclass(frozen=True)
class ServiceRow:
    """A program of the run."""

    name: str
    process: str  # supervisord's word
    status: str  # its own: ok, degraded, stuck; "" while it has not reported
    reason: str  # why it is degraded
    pid: int
    port: int  # of /health and /metrics; 0: not known
    links: str = ""  # of p2p: with how many others it is connected, and how many it has proof of


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment."""

    name: str
    page: str  # URL
    elapsed_s: float
    round: int | None  # None: the chain has not been seen yet
    rounds: int | None  # None: until stopped
    seconds_left: float | None
    finished: bool
    peers: tuple[PeerRow, ...]
    services: tuple[ServiceRow, ...]
    restarts: int
    rewards: tuple[float, ...]  # mean over peers by round, oldest first

    @property
    def reward(self) -> float | None:
        """Mean over peers of the last rounds."""
        return fmean(self.rewards[-RECENT:]) if self.rewards else None


def peer_rows(history: History, hosted: Sequence[str]) -> tuple[PeerRow, ...]:
    """A row for every peer, in the household's order."""
    points: dict[str, int] = {}
    for reward, _ in history.rewards():
        points[reward.peer_id] = points.get(reward.peer_id, 0) + reward.points
    own: dict[str, list[Trained]] = {peer: [] for peer in hosted}
    for trained in sorted(history.trained.values(), key=lambda event: (event.round, event.stage)):
        own.setdefault(trained.peer_id, []).append(trained)
    return tuple(_peer_row(peer, events, points.get(peer, 0)) for peer, events in own.items())


def _peer_row(peer: str, events: list[Trained], points: int) -> PeerRow:
    rewards = tuple(event.mean_reward for event in events)
    return PeerRow(
        peer=peer,
        name=name_of(peer),
        round=events[-1].round if events else 0,
        reward=rewards[-1] if rewards else None,
        rewards=rewards,
        external_groups=sum(event.external_groups for event in events),
        points=points,
    )


def service_rows(programs: Sequence[ProgramState], states: Sequence[ServiceState]) -> tuple[ServiceRow, ...]:
    """A row for every program, in starting order, with what it reports of itself."""
    said = {state.instance: state for state in states}
    rows = []
    for program in programs:
        state = said.get(program.name)
        if state is not None and state.pid != program.pid:
            state = None  # the report of its predecessor
        rows.append(
            ServiceRow(
                name=program.name,
                process=program.state,
                status=state.status if state else "",
                reason="; ".join(f"{part}: {why}" for part, why in state.degraded.items()) if state else "",
                pid=program.pid,
                port=state.port if state else 0,
                links=_links(state),
            )
        )
    return tuple(rows)


def _links(state: ServiceState | None) -> str:
    """What p2p says of other households' peers."""
    if state is None or "linked" not in state.facts:
        return ""
    return f"connected with {state.facts['connected']} peers of others, read announcements of {state.facts['linked']}"


def mean_by_round(history: History) -> tuple[float, ...]:
    """Mean over peers of each round's reward, oldest first."""
    found: dict[tuple[int, int], list[float]] = {}
    for trained in history.trained.values():
        found.setdefault((trained.round, trained.stage), []).append(trained.mean_reward)
    return tuple(fmean(values) for _, values in sorted(found.items()))


def is_finished(chain: SwarmState | None, rounds: int | None) -> bool:
    """True when all rounds are over. What the store says of a run that is resumed for more rounds is out of date."""
    return chain is not None and chain.finished and (rounds is None or chain.round + 1 >= rounds)


def seconds_left(history: History, rounds: int | None, chain: SwarmState | None) -> float | None:
    """Time to the last round at the pace of the latest ones; None while there is nothing to reckon from."""
    if rounds is None or chain is None:
        return None
    ends: dict[int, float] = {}
    for trained in history.trained.values():
        ends[trained.round] = max(ends.get(trained.round, 0.0), trained.at)
    latest = sorted(ends.items())[-PACE_ROUNDS:]
    if len(latest) < 2:
        return None
    (first, began), (last, ended) = latest[0], latest[-1]
    return max(0.0, (ended - began) / (last - first) * (rounds - 1 - last))
