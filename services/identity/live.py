"""What the live page knows, as a fold over the streams: `apply(view, message)` for every message, in any order.

    Round ----> View.round
    Trained --> View.peers[peer].steps    numbers of each round, for the charts
                           .details       the latest whole, for explanations and for what was heard of others
    Judged ---> View.peers[peer].exams
    Sampled --> View.samples              rollouts to read
    Exchanged > View.network
    Settled --> View.ledger               what became of this household's submissions
    Recorded -> View.history              the whole swarm on the chain (history.py)

No clock, no I/O. A message that comes twice changes nothing, and every collection is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from services.identity.history import History, record
from shared.messages import Event, Exchanged, Judged, Phase, Recorded, Round, Sampled, Settled, Trained

MAX_PEERS = 256  # that train here
MAX_STEPS = 2_000  # rounds remembered of a peer
MAX_DETAILS = 300  # of these, with the reward of each completion
MAX_EXAMS = 200  # of a peer
MAX_SAMPLES = 60  # rollouts to read
MAX_TRANSACTIONS = 8
MAX_EXCHANGES = 500  # rounds whose exchange may still come a second time
MAX_KEYS = 20_000  # settled submissions that may still come a second time
MAX_REASONS = 32  # kinds of rejection or refusal


class Step(NamedTuple):
    """A peer's round in numbers."""

    at: float  # unix seconds
    reward: float  # mean of its own completions
    loss: float
    tokens: int  # sampled
    completions: int  # of which; 0: not told
    seconds: dict[Phase, float]
    local: int  # question groups of the batch
    external: int
    seen: int  # peers heard in time


@dataclass
class Peer:
    """A peer that trains in this household."""

    steps: dict[int, Step] = field(default_factory=dict)  # by round, as they came
    details: dict[int, Trained] = field(default_factory=dict)  # the latest of them, whole
    exams: dict[int, Judged] = field(default_factory=dict)  # by round

    @property
    def last_at(self) -> float:
        """When it was last through with a round, unix seconds; 0 if never seen to train."""
        return max((step.at for step in self.steps.values()), default=0.0)


@dataclass
class Ledger:
    """What the chain took and refused of this household's submissions."""

    landed: dict[str, int] = field(default_factory=dict)  # by kind
    refused: dict[str, int] = field(default_factory=dict)  # by reason
    transactions: dict[str, Settled] = field(default_factory=dict)  # the latest, by key
    seen: dict[str, str] = field(default_factory=dict)  # key -> outcome, oldest first


@dataclass
class Network:
    """What the exchange with other peers brought."""

    accepted: int = 0
    unsigned: int = 0  # of stock nodes
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
    history: History = field(default_factory=History)
    version: int = 0  # grows with every message


def apply(view: View, message: Round | Event | Settled | Recorded) -> None:
    """Take one message into the view."""
    view.version += 1
    match message:
        case Round():
            view.round = message
        case Trained():
            _trained(_peer(view, message.peer_id), message)
        case Judged():
            exams = _peer(view, message.peer_id).exams
            exams[message.round] = message
            _keep_newest(exams, MAX_EXAMS)
        case Sampled():
            view.samples.pop(message.key, None)  # a later one of the same round replaces it, at the end
            view.samples[message.key] = message
            _keep_newest(view.samples, MAX_SAMPLES)
        case Exchanged():
            _exchanged(view.network, message)
        case Recorded():
            record(view.history, message)
        case _:
            _settled(view.ledger, message)


def _trained(peer: Peer, message: Trained) -> None:
    peer.steps[message.round] = Step(
        at=message.at,
        reward=message.mean_reward,
        loss=message.loss,
        tokens=message.completion_tokens,
        completions=sum(len(group) for group in message.rewards),
        seconds=message.seconds,
        local=message.local_groups,
        external=message.external_groups,
        seen=message.seen_peers,
    )
    peer.details[message.round] = message
    _keep_newest(peer.steps, MAX_STEPS)
    _keep_newest(peer.details, MAX_DETAILS)


def _exchanged(network: Network, message: Exchanged) -> None:
    if message.round in network.seen:
        return
    network.seen[message.round] = None
    _keep_newest(network.seen, MAX_EXCHANGES)
    network.rounds += 1
    network.accepted += message.accepted
    network.unsigned += message.unsigned
    network.bytes_sent += message.bytes_sent
    network.bytes_received += message.bytes_received
    for reason, count in message.rejected.items():
        _count(network.rejected, reason, count)


def _settled(ledger: Ledger, message: Settled) -> None:
    if ledger.seen.get(message.key) in ("landed", message.outcome):
        return  # what was refused may land later
    ledger.seen[message.key] = message.outcome
    _keep_newest(ledger.seen, MAX_KEYS)
    ledger.transactions[message.key] = message
    _keep_newest(ledger.transactions, MAX_TRANSACTIONS)
    if message.outcome == "refused":
        _count(ledger.refused, message.reason or "unknown", 1)
    else:
        _count(ledger.landed, message.submission.kind, 1)


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
