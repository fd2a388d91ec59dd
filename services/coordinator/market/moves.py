"""What the founder's household does next with a game, pure.

proposal --> Create --> Show 0 --clue_s--> Show 1 ... --clue_s--> Close --> Reveal --> Done
                |                                                            |
                +--------------------- its time is up ----------------------> Done: every bet back
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from shared.market import Proposal, Table

SLACK_S = 3_600  # the answer may be so much later than planned: a household that is down for a while comes back
STALE_S = 600.0  # a proposal that is not on the chain by then is not dealt any more


@dataclass(frozen=True)
class Create:
    """Put it on the chain."""

    reveal_by: int  # unix seconds


@dataclass(frozen=True)
class Show:
    """Show a clue."""

    clue: int


@dataclass(frozen=True)
class Close:
    """Take no more bets."""


@dataclass(frozen=True)
class Reveal:
    """Say the answer."""


@dataclass(frozen=True)
class Done:
    """Nothing is left to do with it."""


Move = Create | Show | Close | Reveal | Done


def commitment_of(proposal: Proposal) -> str:
    """keccak256(abi.encode(uint256 answer, bytes32 salt)), 0x..."""
    return "0x" + keccak(encode(["uint256", "bytes32"], [proposal.answer, bytes.fromhex(proposal.salt[2:])])).hex()


def next_move(proposal: Proposal, table: Table | None, shown_at: float, clue_s: float, now: float) -> Move | None:
    """What is due now; None: nothing yet. `table`: the proposal's game on the chain; `shown_at`: its last clue."""
    if table is None:
        if now > proposal.made_at + STALE_S:
            return Done()
        return Create(int(now + (len(proposal.clues) + 1) * clue_s + SLACK_S))
    if table.is_over(now):
        return Done()
    if table.state == "closed":
        return Reveal()
    if table.shown and now < shown_at + clue_s:
        return None
    return Show(table.shown) if table.shown < table.clues else Close()
