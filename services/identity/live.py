"""What the live page knows, as a fold over the streams: `apply(view, message)` for every message, in any order.

No clock, no I/O. A message that comes twice changes nothing, and every collection is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.messages import (
    Event,
    Exchanged,
    Judged,
    Reward,
    Round,
    Sampled,
    Settled,
    Trained,
    Winners,
)

MAX_PEERS = 256  # those who train here, and those who are voted for
MAX_STEPS = 2_000  # rounds remembered of a peer
MAX_SAMPLES = 30  # rollouts to read
MAX_TRANSACTIONS = 12
MAX_EXCHANGES = 500  # rounds whose exchange may still come a second time
MAX_KEYS = 20_000  # settled submissions that may still come a second time
MAX_REASONS = 32  # kinds of rejection or refusal


@dataclass
class Peer:
    """A peer that trains in this household, or one elsewhere that was voted for."""

    steps: dict[int, Trained] = field(default_factory=dict)  # by round, as they came
    points: int = 0  # on the chain
    wins: int = 0  # votes of this household's peers on the chain
    judged: Judged | None = None

    @property
    def last_at(self) -> float:
        """When it was last through with a round, unix seconds; 0 if never seen to train."""
        return max((step.at for step in self.steps.values()), default=0.0)


@dataclass
class Ledger:
    """What the chain took and refused of this household's submissions."""

    landed: dict[str, int] = field(default_factory=dict)  # by kind
    refused: dict[str, int] = field(default_factory=dict)  # by reason
    points: int = 0
    transactions: dict[str, Settled] = field(default_factory=dict)  # the latest, by key
    seen: dict[str, None] = field(default_factory=dict)  # keys, oldest first


@dataclass
class Network:
    """What the exchange with other peers brought."""

    accepted: int = 0
    rejected: dict[str, int] = field(default_factory=dict)  # by reason
    bytes_sent: int = 0
    bytes_received: int = 0
    rounds: int = 0  # counted
    seen: dict[int, None] = field(default_factory=dict)  # rounds that may still come a second time, oldest first


@dataclass
class View:
    """All that the live page knows from the streams."""

    round: Round | None = None
    peers: dict[str, Peer] = field(default_factory=dict)  # by peer id, in the order of their first mention
    samples: dict[str, Sampled] = field(default_factory=dict)  # by key, the latest last
    ledger: Ledger = field(default_factory=Ledger)
    network: Network = field(default_factory=Network)
    version: int = 0  # grows with every message


def apply(view: View, message: Round | Event | Settled) -> None:
    """Take one message into the view."""
    view.version += 1
    match message:
        case Round():
            view.round = message
        case Trained():
            _trained(view, message)
        case Judged():
            _judged(view, message)
        case Sampled():
            view.samples.pop(message.key, None)  # a later one of the same round replaces it, at the end
            view.samples[message.key] = message
            _keep_newest(view.samples, MAX_SAMPLES)
        case Exchanged():
            _exchanged(view.network, message)
        case _:
            _settled(view, message)


def _trained(view: View, message: Trained) -> None:
    steps = _peer(view, message.peer_id).steps
    steps[message.round] = message
    _keep_newest(steps, MAX_STEPS)


def _judged(view: View, message: Judged) -> None:
    peer = _peer(view, message.peer_id)
    peer.judged = max(peer.judged or message, message, key=lambda judged: judged.at)


def _exchanged(network: Network, message: Exchanged) -> None:
    if message.round in network.seen:
        return
    network.seen[message.round] = None
    _keep_newest(network.seen, MAX_EXCHANGES)
    network.rounds += 1
    network.accepted += message.accepted
    network.bytes_sent += message.bytes_sent
    network.bytes_received += message.bytes_received
    for reason, count in message.rejected.items():
        _count(network.rejected, reason, count)


def _settled(view: View, message: Settled) -> None:
    ledger = view.ledger
    if message.key in ledger.seen:
        return
    ledger.seen[message.key] = None
    _keep_newest(ledger.seen, MAX_KEYS)
    ledger.transactions[message.key] = message
    _keep_newest(ledger.transactions, MAX_TRANSACTIONS)
    if message.outcome == "refused":
        _count(ledger.refused, message.reason or "unknown", 1)
        return
    ledger.landed[message.submission.kind] = ledger.landed.get(message.submission.kind, 0) + 1
    match message.submission:
        case Reward(peer_id=peer_id, points=points):
            _peer(view, peer_id).points += points
            ledger.points += points
        case Winners(winners=winners):
            for winner in winners:
                _peer(view, winner).wins += 1
        case registration:
            _peer(view, registration.peer_id)


def _peer(view: View, peer_id: str) -> Peer:
    """The peer, made at its first mention; at the bound, the one that has been silent for longest goes."""
    if peer_id not in view.peers and len(view.peers) >= MAX_PEERS:
        del view.peers[min(view.peers, key=lambda other: view.peers[other].last_at)]
    return view.peers.setdefault(peer_id, Peer())


def _count(counts: dict[str, int], reason: str, number: int) -> None:
    known = reason if reason in counts or len(counts) < MAX_REASONS else "other"
    counts[known] = counts.get(known, 0) + number


def _keep_newest(mapping: dict[Any, Any], bound: int) -> None:
    """Forget the entries that came first."""
    oldest: Iterable[Any] = list(mapping)[: max(0, len(mapping) - bound)]
    for key in oldest:
        del mapping[key]
