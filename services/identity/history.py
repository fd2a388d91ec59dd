"""What the chain holds of the whole swarm, as a fold over HISTORY: each peer's totals, and the newest rounds in detail.

    Recorded --> History.standings   peer -> points, rounds, votes    (leaderboard)
             --> History.rounds      round -> key -> Noted            (explanations, the swarm's mean)

No clock, no I/O. A record that comes twice changes nothing; one of the same key from another transaction (the chain
went back) takes the place of the earlier; with the first of another swarm (a chain begun anew) everything begins anew.
Every collection is bounded: ids and numbers are strangers' words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import intern
from typing import NamedTuple

from shared.messages import Recorded, Reward, Winners

MAX_RECORDS = 100_000  # rewards and votes in detail; the stream keeps no more
MAX_STANDINGS = 1_000  # peers; anybody can vote for names that nobody has


class Noted(NamedTuple):
    """A reward or a vote on the chain."""

    peer: str
    points: int | None  # None: this is a vote
    winners: tuple[str, ...]
    account: str
    transaction: str
    block: int


@dataclass
class Standing:
    """A peer of the swarm by the chain's word."""

    points: int = 0
    rounds: int = 0  # with a reward
    wins: int = 0  # votes of others and of itself
    last_round: int = -1
    account: str = ""
    transaction: str = ""  # of its latest reward


@dataclass
class History:
    """The chain's rewards and votes."""

    swarm: str = ""  # whose they are, see `Recorded.swarm`
    standings: dict[str, Standing] = field(default_factory=dict)
    rounds: dict[int, dict[str, Noted]] = field(default_factory=dict)
    size: int = 0  # records in `rounds`
    floor: int = -1  # the newest round whose detail has been let go; what comes for it or before is not counted again


def record(history: History, message: Recorded) -> None:
    """Take one record of the chain."""
    if message.swarm != history.swarm:
        _begin_anew(history, message.swarm)
    submission = message.submission
    match submission:
        case Reward() | Winners():
            _note(history, message, submission)
        case _:
            _standing(history, submission.peer_id).account = message.account


def _begin_anew(history: History, swarm: str) -> None:
    history.swarm, history.size, history.floor = swarm, 0, -1
    history.standings.clear()
    history.rounds.clear()


def _note(history: History, message: Recorded, submission: Reward | Winners) -> None:
    number = submission.round
    if number <= history.floor:
        return
    reward = submission if isinstance(submission, Reward) else None
    noted = Noted(
        intern(submission.peer_id),
        reward.points if reward else None,
        () if isinstance(submission, Reward) else tuple(intern(winner) for winner in submission.winners),
        intern(message.account),
        message.transaction,
        message.block,
    )
    notes = history.rounds.setdefault(number, {})
    before = notes.get(message.key)
    if before == noted:
        return
    if before is not None:
        _count(history, before, number, -1)
    history.size += before is None
    notes[message.key] = noted
    _count(history, noted, number, 1)
    _forget(history)


def _count(history: History, noted: Noted, number: int, sign: int) -> None:
    """Add a record to the totals, or take it out again."""
    if noted.points is None:
        for winner in noted.winners:
            _standing(history, winner).wins += sign
        return
    standing = _standing(history, noted.peer)
    standing.points += sign * noted.points
    standing.rounds += sign
    standing.account = noted.account
    if number >= standing.last_round:
        standing.last_round, standing.transaction = number, noted.transaction


def _standing(history: History, peer: str) -> Standing:
    """The peer's standing, made at its first mention; at the bound, one that never earned goes, or the most silent."""
    standings = history.standings
    if peer not in standings and len(standings) >= MAX_STANDINGS:
        del standings[min(standings, key=lambda other: (standings[other].rounds > 0, standings[other].last_round))]
    return standings.setdefault(peer, Standing())


def _forget(history: History) -> None:
    """Let the detail of the oldest rounds go; the totals stay."""
    while history.size > MAX_RECORDS:
        oldest = min(history.rounds)
        history.size -= len(history.rounds.pop(oldest))
        history.floor = max(history.floor, oldest)
