"""When a checkpoint is looked at, and which is published. Pure: state and clock in, decisions out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0  # after an upload that failed


class Pending(BaseModel):
    """A folder that is made and is to be uploaded."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    round: int
    score: float | None
    folder: str  # its name, beside this file


class Published(BaseModel):
    """What the hub has."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    round: int
    score: float | None
    commit: str
    at: float  # unix seconds


class Course(BaseModel):
    """How far publishing one peer's model has come; survives a restart."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    looked_round: int  # of the checkpoint looked at last
    looked_at: float  # unix seconds
    repository: str = ""  # owner/name, once it is settled
    pending: Pending | None = None
    published: Published | None = None
    failures: int = 0  # of uploads, in a row
    retry_at: float = 0.0  # unix seconds

    def is_due(self, number: int, now: float, every_rounds: int | None, every_minutes: float | None) -> bool:
        """There is something new, and enough of it, or enough time has gone by."""
        new = number - self.looked_round if number >= self.looked_round else number + 1  # another swarm counts from 0
        by_rounds = every_rounds is not None and new >= every_rounds
        return new > 0 and (by_rounds or self._by_time(now, every_minutes))

    def looked(self, number: int, now: float) -> Course:
        """The checkpoint of this round was looked at."""
        return self.model_copy(update={"looked_round": number, "looked_at": now})

    def is_better(self, score: float | None) -> bool:
        """Whether a checkpoint of this score is to take the place of the one that is there; unknown ones do."""
        there = self.pending or self.published
        return there is None or there.score is None or score is None or score > there.score

    def failed(self, now: float) -> Course:
        """An upload failed: the next try is later each time."""
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failures, 16))
        return self.model_copy(update={"failures": self.failures + 1, "retry_at": now + pause})

    def done(self, commit: str, now: float) -> Course:
        """What was pending is published."""
        pending = self.pending
        if pending is None:
            return self
        there = Published(round=pending.round, score=pending.score, commit=commit, at=now)
        return self.model_copy(update={"pending": None, "published": there, "failures": 0, "retry_at": 0.0})

    def _by_time(self, now: float, every_minutes: float | None) -> bool:
        return every_minutes is not None and now - self.looked_at >= 60 * every_minutes
