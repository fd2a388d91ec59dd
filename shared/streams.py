"""The map of the household: every stream, what travels on it, who writes and who reads.

    ROUNDS          coordinator --> every trainer, p2p, identity
    ROLLOUTS_LOCAL  trainer     --> p2p          (to be signed and announced)
    ROLLOUTS_PEER   p2p         --> every trainer (validated)
    SUBMISSIONS     trainer,p2p --> coordinator  (to be put on the chain; again, if it or the queue forgot)
    LEDGER          coordinator --> identity, local
    EVENTS          trainer,p2p --> identity, local, p2p (what trainers found in peers' rollouts)
    HISTORY         coordinator --> identity,p2p (what the chain holds, of all peers of the swarm)
    ASKS            identity    --> trainer      (a question that the owner types)
    ANSWERS         trainer     --> identity     (its answer, in pieces)
    WAGERS          trainer, identity --> coordinator   (bets on the market's games, and claims)
    WAGERED         coordinator --> identity     (what became of them)

A *work* stream has one reading service: each entry is handed to one of its consumers, is deleted when acked, and
nothing is ever dropped: at its bound, `publish` refuses. A *broadcast* stream is read by everybody from where they
like, and forgets its oldest entries at its bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from shared.asks import Ask, Piece
from shared.messages import Event, Recorded, Rollouts, Round, Settled, Submission
from shared.wagers import Wager, Wagered

T = TypeVar("T")


@dataclass(frozen=True)
class Stream(Generic[T]):
    """One stream of one message type."""

    name: str
    message: Any  # the message's type, or an annotated union of types
    kind: Literal["work", "broadcast"]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    bound: int  # entries

    @cached_property
    def adapter(self) -> TypeAdapter[T]:
        """Encodes and validates this stream's messages."""
        return TypeAdapter(self.message)

    def encode(self, message: T) -> str:
        """JSON text of a message."""
        return self.adapter.dump_json(message).decode()

    def decode(self, text: str) -> T:
        """The message of a JSON text; raises pydantic.ValidationError."""
        return self.adapter.validate_json(text)


ROUNDS: Stream[Round] = Stream("rounds", Round, "broadcast", ("coordinator",), ("trainer", "p2p", "identity"), 1_000)
ROLLOUTS_LOCAL: Stream[Rollouts] = Stream("rollouts.local", Rollouts, "work", ("trainer",), ("p2p",), 1_000)
ROLLOUTS_PEER: Stream[Rollouts] = Stream("rollouts.peer", Rollouts, "broadcast", ("p2p",), ("trainer",), 1_000)
SUBMISSIONS: Stream[Submission] = Stream(
    "submissions", Submission, "work", ("trainer", "p2p", "coordinator"), ("coordinator",), 100_000
)
LEDGER: Stream[Settled] = Stream("ledger", Settled, "broadcast", ("coordinator",), ("identity", "local"), 100_000)
EVENTS: Stream[Event] = Stream("events", Event, "broadcast", ("trainer", "p2p"), ("identity", "local", "p2p"), 20_000)
HISTORY: Stream[Recorded] = Stream("history", Recorded, "broadcast", ("coordinator",), ("identity", "p2p"), 100_000)
ASKS: Stream[Ask] = Stream("asks", Ask, "work", ("identity",), ("trainer",), 32)
ANSWERS: Stream[Piece] = Stream("answers", Piece, "broadcast", ("trainer",), ("identity",), 5_000)
WAGERS: Stream[Wager] = Stream("wagers", Wager, "work", ("trainer", "identity"), ("coordinator",), 1_000)
WAGERED: Stream[Wagered] = Stream("wagered", Wagered, "broadcast", ("coordinator",), ("identity",), 1_000)

ALL: tuple[Stream[Any], ...] = (
    ROUNDS,
    ROLLOUTS_LOCAL,
    ROLLOUTS_PEER,
    SUBMISSIONS,
    LEDGER,
    EVENTS,
    HISTORY,
    ASKS,
    ANSWERS,
    WAGERS,
    WAGERED,
)
