"""The other peers: who leads on the chain, and what was heard of each."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from services.identity.history import History, Standing
from services.identity.live import Peer, View
from services.identity.shown.around import Around
from services.identity.shown.texts import label
from shared.household import PeerNote
from shared.messages import Heard
from shared.names import name_of

Section = Any  # JSON-able

LEADERS = 100
HEARD = 64  # peers
HEARD_OF = 20  # latest rounds of each own peer
REASONS = 6  # why something of a peer was dropped


@dataclass
class Quality:
    """A peer's rollouts as this household's trainers scored them."""

    rounds: int = 0
    groups: int = 0
    informative: int = 0
    reward: float = 0.0  # summed over groups

    def add(self, heard: Heard) -> None:
        """One more round."""
        self.rounds += 1
        self.groups += heard.groups
        self.informative += heard.informative
        self.reward += heard.mean_reward * heard.groups


def leaders(history: History, own: Container[str]) -> Section:
    """All peers of the swarm by what they have earned on the chain, at most the first `LEADERS`."""
    known = [(id_, one) for id_, one in history.standings.items() if one.rounds or one.wins]
    known.sort(key=lambda item: (-item[1].points, -item[1].wins, item[0]))
    rows = [_leader(place, id_, one, id_ in own) for place, (id_, one) in enumerate(known[:LEADERS], 1)]
    rounds = sorted(history.rounds)
    return {"count": len(known), "from": rounds[0] if rounds else None, "to": rounds[-1] if rounds else None} | {
        "rows": rows
    }


def _leader(place: int, id_: str, one: Standing, own: bool) -> Section:
    return {
        "place": place,
        "id": id_,
        "name": name_of(id_),
        "own": own,
        "points": one.points,
        "rounds": one.rounds,
        "wins": one.wins,
        "round": one.last_round if one.rounds else None,
        "transaction": one.transaction or None,
    }


def heard(view: View, around: Around, own: Mapping[str, Peer]) -> Section:
    """The peers whose rollouts came lately, or were turned away; those in quarantine first."""
    qualities = _qualities(own.values())
    notes = {note.peer_id: note for note in around.notes}
    rows = [_heard(id_, qualities.get(id_), notes.get(id_), id_ in own) for id_ in {**qualities, **notes}]
    rows.sort(key=lambda row: (not row["quarantined"], row["own"], -(row["groups"] or 0), row["name"]))
    return {"count": len(rows), "rows": rows[:HEARD]}


def _qualities(peers: Any) -> dict[str, Quality]:
    found: dict[str, Quality] = {}
    for peer in peers:
        for trained in islice(reversed(peer.details.values()), HEARD_OF):
            for author, told in trained.heard.items():
                found.setdefault(author, Quality()).add(told)
    return found


def _heard(id_: str, quality: Quality | None, note: PeerNote | None, own: bool) -> Section:
    groups = quality.groups if quality else 0
    return {
        "id": id_,
        "name": name_of(id_),
        "own": own,
        "groups": groups,
        "reward": round(quality.reward / groups, 3) if quality and groups else None,
        "informative": round(quality.informative / groups, 3) if quality and groups else None,
        "accepted": note.accepted if note else None,
        "rejected": _reasons(note.rejected) if note else {},
        "quarantined": note.quarantined if note else False,
        "reason": label(note.reason) if note else "",
        "until": note.until if note else None,
        "round": note.round if note else None,
    }


def _reasons(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent ones."""
    return {label(reason): n for reason, n in sorted(counts.items(), key=lambda item: -item[1])[:REASONS]}
