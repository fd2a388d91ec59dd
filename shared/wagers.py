"""Bets on the prediction market's games, and what becomes of them (see market.py)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.messages import Message, PeerId

MAX_CHOICES = 16  # of our games; the contract takes 255

Number = Annotated[int, Field(ge=0, lt=2**64)]


class Guess(Message):
    """A bet on the answer of a game."""

    kind: Literal["guess"] = "guess"
    peer_id: PeerId
    game: Number
    clue: int = Field(ge=0, lt=256)  # that is shown
    choice: int = Field(ge=0, lt=256)
    tokens: int = Field(ge=0, lt=2**128)
    chances: tuple[float, ...] = Field(default=(), max_length=MAX_CHOICES)  # of each choice; none: not told

    @property
    def key(self) -> str:
        """`guess:game:clue:peer`: the contract takes one."""
        return f"{self.kind}:{self.game}:{self.clue}:{self.peer_id}"


class Claim(Message):
    """What a peer won in a game shall be paid."""

    kind: Literal["claim"] = "claim"
    peer_id: PeerId
    game: Number

    @property
    def key(self) -> str:
        """`claim:game:peer`."""
        return f"{self.kind}:{self.game}:{self.peer_id}"


Wager = Annotated[Guess | Claim, Field(discriminator="kind")]


class Wagered(Message):
    """A wager's end."""

    wager: Wager
    outcome: Literal["landed", "refused"]
    transaction: str | None  # hash, 0x...; None: refused, or an earlier one of ours did it
    reason: str = ""  # the contract's error name when refused

    @property
    def key(self) -> str:
        """The wager's own key."""
        return self.wager.key
