"""The live page's content as JSON-able sections, each made by a function of `shown/`.

    View (streams) --+--> shown/nodes.py     nodes, activity       my nodes and what they do
    Around (store) --+    shown/swarm.py     leaders, heard        everybody else
                          shown/rollouts.py  samples
                          shown/exams.py     exams               what the judge says
                          shown/market.py    market              the prediction market
                          shown/chain.py     chain, door
                          series.py          curves, pace          lines and bars

The page gets a section again only when it has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from services.identity.live import Network, Peer, View
from services.identity.series import curves, pace
from services.identity.shown.around import Around
from services.identity.shown.chain import chain, door
from services.identity.shown.exams import exams
from services.identity.shown.market import market
from services.identity.shown.nodes import activity, latest, nodes, ours, share
from services.identity.shown.rollouts import is_first_hand, rollouts
from services.identity.shown.swarm import heard, leaders
from services.identity.shown.texts import label

Section = Any  # JSON-able


def sections(view: View, around: Around) -> dict[str, Section]:
    """Everything on the page, by section."""
    peers = ours(view, around)
    chart = curves(peers, view.history.rounds)
    return {
        "round": _round(view, around),
        "services": [_service(state.model_dump()) for state in around.states],
        "door": door(around),
        "summary": summary(peers, chart["reward"]["mean"], view, around),
        "nodes": nodes(peers, view, around),
        "activity": activity(peers, around),
        "curves": chart,
        "pace": pace(peers),
        "samples": rollouts(sample for sample in reversed(view.samples.values()) if is_first_hand(sample, peers)),
        "heard": heard(view, around, peers),
        "leaders": leaders(view.history, peers),
        "exams": exams(around.exams, peers),
        "market": market(around.market, peers),
        "chain": chain(view.ledger, around),
        "network": _network(view.network),
    }


def summary(peers: Mapping[str, Peer], means: list[float | None], view: View, around: Around) -> Section:
    """The few numbers that say how it goes."""
    last = [latest(peer, 1)[0] for peer in peers.values() if peer.steps]
    mean = [value for value in means if value is not None]
    standings = [one for id_, one in view.history.standings.items() if id_ in peers]
    return {
        "mean": mean[-1] if mean else None,
        "first": mean[min(len(mean) - 1, len(mean) // 10)] if mean else None,  # early, not the very first guess
        "training": len(last),
        "hosted": len(peers),
        "share": share([step for peer in peers.values() for step in latest(peer)]),
        "settled": around.chain.rewards_settled if around.chain else view.ledger.landed.get("reward", 0),
        "winners": around.chain.winners_settled if around.chain else view.ledger.landed.get("winners", 0),
        "points": sum(one.points for one in standings),
        "tokens": round(fmean(step.tokens for step in last)) if last else None,
        "heard": max((step.seen for step in last), default=None),
    }


def _round(view: View, around: Around) -> Section:
    paused = around.chain is not None and around.chain.paused
    return {**view.round.model_dump(mode="json"), "paused": paused} if view.round else None


def _service(state: Mapping[str, Any]) -> Section:
    reasons = {label(part): label(reason) for part, reason in state["degraded"].items()}
    return {**{name: state[name] for name in ("service", "instance", "status")}, "degraded": reasons}


def _network(network: Network) -> Section:
    return {
        "rounds": network.rounds,
        "accepted": network.accepted,
        "unsigned": network.unsigned,
        "rejected": {label(why): n for why, n in sorted(network.rejected.items(), key=lambda item: -item[1])},
        "bytes_sent": network.bytes_sent,
        "bytes_received": network.bytes_received,
    }
