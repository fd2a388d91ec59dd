"""How many questions a round has time for. Pure: the time left and what the last rounds took come in as arguments.

    last rounds' seconds --> the slowest of them --> what fits into SHARE of the time left --> 1 to QUESTIONS

The time left is that to the round's deadline, or less where rounds are over before it: others who are all through do
not wait for one who has not voted lately. A round that was missed makes the time smaller, a round that was not lets it
grow again.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LAPS = 5  # rounds remembered: one slow moment is forgotten after as many
SHARE = 0.8  # of the time left that is planned for; the rest is for the chain, and for a machine that has more to do
SHRINK, GROW = 0.7, 1.25


class Lap(BaseModel):
    """What a round took here, in seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    question_s: float  # to sample all completions of a question
    group_s: float  # to learn from one group; 0: there was none to learn from
    save_s: float  # to write the checkpoint


class Pace(BaseModel):
    """How fast this trainer was lately; part of the checkpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    laps: tuple[Lap, ...] = Field(default=(), max_length=LAPS)
    open_s: float | None = None  # for so long rounds are open to us; None: to their deadline

    def after(self, lap: Lap, *, lasted_s: float | None, limit_s: float) -> Pace:
        """One round more. `lasted_s`: it was over before we were through, after so long; None: we were in time.

        limit_s: from a round's opening to its deadline.
        """
        if lasted_s is not None:
            open_s = SHRINK * min(lasted_s, self.open_s or limit_s)
        else:
            open_s = GROW * (self.open_s or limit_s)
        return Pace(laps=(*self.laps, lap)[-LAPS:], open_s=open_s if open_s < limit_s else None)

    def questions(self, left_s: float, *, most: int, groups: int) -> int:
        """How many to ask with `left_s` seconds left of the round; `groups` are learnt from at the end.

        At least one, however late it is. Before anything is known, as many as are wanted.
        """
        slowest = max((lap.question_s for lap in self.laps), default=0.0)
        if slowest <= 0:
            return most
        free = SHARE * left_s - self.learning_s(groups)
        return max(1, min(most, int(free / slowest)))

    def learning_s(self, groups: int) -> float:
        """Seconds from the end of an exchange to the checkpoint."""
        group_s = max((lap.group_s for lap in self.laps), default=0.0)
        return groups * group_s + max((lap.save_s for lap in self.laps), default=0.0)

    def left_s(self, opened_at: float, deadline: float, now: float) -> float:
        """Seconds until a round is probably over; all times in unix seconds."""
        return (deadline if self.open_s is None else min(deadline, opened_at + self.open_s)) - now
