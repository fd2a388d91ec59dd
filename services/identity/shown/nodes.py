"""The peers of this household: a card each, and what each does at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from statistics import fmean
from typing import Any

from services.identity.history import Standing
from services.identity.live import Peer, Step, View
from services.identity.series import smooth, spark, speed
from services.identity.shown.around import Around
from services.identity.shown.texts import label
from shared.household import ServiceState
from shared.names import name_of

Section = Any  # JSON-able

MAX_NODES = 64
SHARE_OF = 50  # latest rounds that a share of external groups is taken from
EXAMS_OF = 20  # latest exams that a pass rate is taken from
PASSED = 0.99  # score


def ours(view: View, around: Around) -> dict[str, Peer]:
    """The peers that are hosted here or were seen to train here."""
    seen = (id_ for id_, peer in view.peers.items() if peer.steps)
    every = dict.fromkeys((*around.hosted, *seen))
    return {id_: view.peers.get(id_) or Peer() for id_ in islice(every, MAX_NODES)}


def nodes(peers: Mapping[str, Peer], view: View, around: Around) -> Section:
    """A card for each."""
    trainers = {str(state.facts.get("peer")): state for state in around.states if state.service == "trainer"}
    standings = view.history.standings
    return [_card(id_, peer, trainers.get(id_), standings.get(id_) or Standing()) for id_, peer in peers.items()]


def activity(peers: Mapping[str, Peer], around: Around) -> Section:
    """Peer -> what its trainer does. Apart from the cards, as it changes several times in a round."""
    return {id_: around.activities[id_].model_dump() for id_ in peers if id_ in around.activities}


def share(steps: list[Step]) -> float | None:
    """External groups of all groups of these rounds; None before the first."""
    every = sum(step.local + step.external for step in steps)
    return round(sum(step.external for step in steps) / every, 3) if every else None


def latest(peer: Peer, number: int = SHARE_OF) -> list[Step]:
    """The newest rounds, the newest first."""
    return list(islice(reversed(peer.steps.values()), number))


def _card(id_: str, peer: Peer, trainer: ServiceState | None, standing: Standing) -> Section:
    last = next(iter(latest(peer, 1)), None)
    tokens_s, rounds_min = speed(peer)
    return {
        "id": id_,
        "name": name_of(id_),
        **_trainer(trainer),
        "tokens_s": tokens_s,
        "rounds_min": rounds_min,
        "reward": round(last.reward, 4) if last else None,
        "round": next(reversed(peer.steps), None),
        "at": last.at if last else None,
        "spark": spark({number: step.reward for number, step in peer.steps.items()}),
        "share": share(latest(peer)),
        "points": standing.points,
        "wins": standing.wins,
        "judge": _judge(peer),
    }


def _trainer(state: ServiceState | None) -> Section:
    """What the trainer says of itself; "away" where none says anything."""
    if state is None:
        return {"status": "away", "reasons": [], "model": None, "device": None, "parameters": None} | {
            "memory_mib": None,
            "restarts": None,
        }
    parameters = state.facts.get("parameters")
    return {
        "status": state.status,
        "reasons": [f"{label(part)}: {label(reason)}" for part, reason in state.degraded.items()],
        "model": _fact(state, "model"),
        "device": _fact(state, "device"),
        "parameters": parameters if isinstance(parameters, int) else None,
        "memory_mib": state.memory_mib or None,
        "restarts": state.starts - 1,
    }


def _fact(state: ServiceState, name: str) -> str | None:
    return label(str(state.facts[name])) if name in state.facts else None


def _judge(peer: Peer) -> Section:
    """How many of the judge's latest questions were answered rightly, and how that went over time."""
    scores = [float(judged.score >= PASSED) for _, judged in sorted(peer.exams.items())]
    rate = round(fmean(scores[-EXAMS_OF:]), 3) if scores else None
    return {"rate": rate, "exams": len(scores), "spark": spark(dict(enumerate(smooth(scores, EXAMS_OF))))}
