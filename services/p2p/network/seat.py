"""A hosted peer's place: the identity and the port stay, nodes come and go."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.p2p.network.identities import Identity

if TYPE_CHECKING:  # with it would come hivemind
    from services.p2p.network.node import Node

RETRY_S = (1.0, 10.0)  # first and longest pause between two attempts to meet an address


@dataclass
class Attempts:
    """When to try an address again; all times are those of one clock, seconds."""

    at: float = 0.0
    pause_s: float = RETRY_S[0]

    def put_off(self, now: float, chance: float) -> None:
        """It failed once more; `chance` stretches the pause."""
        self.at, self.pause_s = now + self.pause_s * chance, min(2 * self.pause_s, RETRY_S[1])


@dataclass
class Seat:
    """One hosted peer."""

    identity: Identity
    port: int
    node: Node | None = None
    silences: int = 0  # questions in a row that its p2pd did not answer
    attempts: dict[str, Attempts] = field(default_factory=dict)  # by address

    @property
    def running(self) -> Node | None:
        """The node, if it can be used."""
        return self.node if self.node is not None and self.node.alive else None

    def forget(self, but: Container[str]) -> None:
        """Forget the attempts at all addresses but these."""
        self.attempts = {address: attempts for address, attempts in self.attempts.items() if address in but}
