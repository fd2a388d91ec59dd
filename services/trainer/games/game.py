"""What a game is. The round (`loop.py`) knows nothing else of it.

stage opens --> sample --> shared with peers      others' rollouts --> score --> learnt from
                  |                                                      |
                  +------------------> hear <----------------------------+   at the end of the stage
                                        |
                                        +--> state --> checkpoint --> restore
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from services.trainer.policy import Policy
from services.trainer.rollout import Scored
from services.trainer.settings import GameSettings
from services.trainer.tasks import Tasks
from shared.messages import Rollouts, Round


@dataclass(frozen=True)
class Table:
    """What a game is played with."""

    policy: Policy
    tasks: Tasks  # this peer's own questions, and the scorers
    settings: GameSettings
    peer: str
    questions: int  # a stage
    seed: int


class Game(Protocol):
    """What is played in a round. All that is drawn follows from the seed, the peer, the step and what was heard."""

    @property
    def stages(self) -> int:
        """Of a round. A swarm whose rounds have fewer never comes to the later ones."""

    def sample(self, step: int, round_: Round | None = None) -> list[Scored]:
        """This peer's rollouts of a step, at least one group, with what they earned; None: no round is open anywhere.

        The same step and stage, after the same was heard, give the same questions; with the same weights, the same
        answers too.
        """

    def score(self, rollouts: Rollouts) -> list[Scored]:
        """A peer's rollouts with what they earn by our own verifier; groups that are none of this game left out."""

    def hear(self, round_: Round, groups: Sequence[Scored]) -> None:
        """The stage is over; this is what was said in it, here and by peers. For the stages to come."""

    def state(self) -> JsonValue:
        """What the rest of the round needs of its earlier stages; goes into the checkpoint."""

    def restore(self, state: JsonValue) -> None:
        """Go on from there. None: from nothing. Of an earlier version's state nothing need be understood."""
