"""The live page's content as JSON-able sections. The page gets a section again only when it has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any

from services.identity.live import Ledger, Peer, View
from services.identity.series import pace, rewards, spark
from shared.household import ServiceState, SwarmState
from shared.messages import Sampled, Settled
from shared.names import name_of

Section = Any  # JSON-able

SHARE_OF = 50  # latest rounds that a share of external groups is taken from
ELSEWHERE = 6  # peers of other households that are shown
LONGEST = 1_200  # characters of a text that are shown


def sections(
    view: View, *, states: Sequence[ServiceState], chain: SwarmState | None, hosted: Sequence[str]
) -> dict[str, Section]:
    """Everything on the page, by section."""
    ours = {id_: view.peers.get(id_) or Peer() for id_ in (*hosted, *(i for i, p in view.peers.items() if p.steps))}
    elsewhere = {id_: peer for id_, peer in view.peers.items() if id_ not in ours and peer.wins}
    chart = rewards(ours)
    return {
        "round": view.round.model_dump(mode="json") if view.round else None,
        "services": [state.model_dump(include={"service", "instance", "status", "degraded"}) for state in states],
        "summary": summary(ours, chart, view, chain),
        "peers": [_row(id_, peer) for id_, peer in ours.items()],
        "elsewhere": _elsewhere(elsewhere),
        "rewards": chart,
        "pace": pace(ours),
        "samples": [_sample(key, sample) for key, sample in reversed(view.samples.items())],
        "chain": {
            "state": chain.model_dump(mode="json") if chain else None,
            "refused": view.ledger.refused,
            "transactions": _transactions(view.ledger),
        },
        "network": {
            "rounds": view.network.rounds,
            "accepted": view.network.accepted,
            "rejected": dict(sorted(view.network.rejected.items(), key=lambda item: -item[1])),
            "bytes_sent": view.network.bytes_sent,
            "bytes_received": view.network.bytes_received,
        },
    }


def summary(ours: Mapping[str, Peer], chart: Mapping[str, Any], view: View, chain: SwarmState | None) -> Section:
    """The few numbers that say how it goes."""
    latest = [_latest(peer) for peer in ours.values() if peer.steps]
    mean = chart["mean"]
    return {
        "mean": mean[-1] if mean else None,
        "first": mean[min(len(mean) - 1, len(mean) // 10)] if mean else None,  # early, not the very first guess
        "training": len(latest),
        "hosted": len(ours),
        "share": _share(list(ours.values())),
        "settled": chain.rewards_settled if chain else view.ledger.landed.get("reward", 0),
        "winners": chain.winners_settled if chain else view.ledger.landed.get("winners", 0),
        "points": view.ledger.points,
        "tokens": round(fmean(step.completion_tokens for step in latest)) if latest else None,
        "heard": max((step.seen_peers for step in latest), default=None),
    }


def _latest(peer: Peer) -> Any:
    return next(reversed(peer.steps.values()))


def _share(peers: Sequence[Peer]) -> float | None:
    """External groups of all groups of the latest rounds; None before the first."""
    steps = [step for peer in peers for step in islice(reversed(peer.steps.values()), SHARE_OF)]
    every = sum(step.local_groups + step.external_groups for step in steps)
    return round(sum(step.external_groups for step in steps) / every, 3) if every else None


def _row(id_: str, peer: Peer) -> Section:
    last = _latest(peer) if peer.steps else None
    return {
        "id": id_,
        "name": name_of(id_),
        "reward": round(last.mean_reward, 4) if last else None,
        "round": last.round if last else None,
        "at": last.at if last else None,
        "spark": spark(peer),
        "share": _share([peer]),
        "points": peer.points,
        "wins": peer.wins,
        "judged": peer.judged.score if peer.judged else None,
    }


def _elsewhere(peers: Mapping[str, Peer]) -> Section:
    best = sorted(peers.items(), key=lambda item: -item[1].wins)
    rows = [{"id": id_, "name": name_of(id_), "wins": peer.wins} for id_, peer in best[:ELSEWHERE]]
    return {"count": len(best), "rows": rows}


def _sample(key: str, sample: Sampled) -> Section:
    shown = sample.model_dump(include={"at", "peer_id", "round", "dataset", "reward"})
    texts = {"question": sample.question, "answer": sample.answer, "completion": sample.completion}
    return {
        "key": key,
        "name": name_of(sample.peer_id),
        **shown,
        **{name: text if text is None else _cut(text) for name, text in texts.items()},
    }


def _cut(text: str) -> str:
    """The text, or its beginning and its end: the answer stands at the end."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} […] {text[-LONGEST // 2 :]}"


def _transactions(ledger: Ledger) -> Section:
    return [_transaction(settled) for settled in reversed(ledger.transactions.values())]


def _transaction(settled: Settled) -> Section:
    submission = settled.submission.model_dump(mode="json")
    return {
        "key": settled.key,
        "kind": submission["kind"],
        "name": name_of(submission["peer_id"]),
        "peer_id": submission["peer_id"],
        "round": submission.get("round"),
        "points": submission.get("points"),
        "winners": len(submission.get("winners", ())),
        **settled.model_dump(include={"outcome", "transaction", "block", "reason"}),
    }
