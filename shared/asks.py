"""What the owner asks the model, and what it answers: messages like those in messages.py, and golden like them."""

from __future__ import annotations

from pydantic import Field

from shared.messages import Message, PeerId, Text

MAX_ASKED = 4_000  # characters of a question that somebody types


class Ask(Message):
    """Somebody asks the model a question."""

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    at: float  # unix seconds
    question: str = Field(min_length=1, max_length=MAX_ASKED)

    @property
    def key(self) -> str:
        """Its id."""
        return self.id


class Piece(Message):
    """A part of the answer to an `Ask`, in the order of `place`."""

    ask: str = Field(pattern=r"^[0-9a-f]{32}$")
    place: int = Field(ge=0)
    peer_id: PeerId  # whose model answers
    round: int = Field(ge=-1)  # the last one it has learnt from; -1: none
    text: Text
    done: bool  # True: no more follows
    error: str = ""  # why there is no (further) answer

    @property
    def key(self) -> str:
        """`ask:place`."""
        return f"{self.ask}:{self.place}"
