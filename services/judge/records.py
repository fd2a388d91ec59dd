"""What is kept of a peer, pure: the questions open to it, and how its latest exams went."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from shared.estimates import Estimate, rate
from shared.exams import ExamRow
from shared.messages import RoundNumber

MAX_RESULTS = 100  # of a peer
MAX_OPEN = 8  # of a peer; the oldest goes
FULL = 1 - 1e-9  # score of a right answer


class Result(NamedTuple):
    """One exam."""

    round: int
    question: str  # see Bank.id_of
    is_fixed: bool  # of the fixed set
    score: float  # 0 to 1


class Open(BaseModel):
    """A question that was asked, until it is answered or its time is over."""

    model_config = ConfigDict(frozen=True)

    session_id: str
    round_number: RoundNumber
    number: int | None  # in the bank; None: an upstream judge asks it
    expires_at: float  # unix seconds
    question: str = ""  # the text, where the upstream judge asks
    remote: str = ""  # and its session there


class Record(BaseModel):
    """A peer, by its own name."""

    model_config = ConfigDict(frozen=True)

    user_id: str
    model_name: str = ""
    open: tuple[Open, ...] = ()  # the oldest first
    results: tuple[Result, ...] = Field(default=(), max_length=MAX_RESULTS)  # the latest, in order

    def asked(self, opened: Open, model_name: str) -> Record:
        """A question more is open."""
        still = tuple(one for one in self.open if one.round_number != opened.round_number)
        return self.model_copy(update={"model_name": model_name, "open": (*still, opened)[-MAX_OPEN:]})

    def answered(self, closed: Open, result: Result) -> Record:
        """A question was answered."""
        results = (*self.results, result)[-MAX_RESULTS:]
        return self.model_copy(update={"open": _without(self.open, closed), "results": results})

    def gone(self, closed: Open) -> Record:
        """A question is open no more, and was not answered."""
        return self.model_copy(update={"open": _without(self.open, closed)})

    def open_in(self, round_number: int, now: float) -> Open | None:
        """The question that is open in a round."""
        return next((one for one in self.open if one.round_number == round_number and one.expires_at > now), None)

    def has_answered(self, round_number: int) -> bool:
        """It sat this round's exam."""
        return any(result.round == round_number for result in self.results)

    @property
    def questions(self) -> frozenset[str]:
        """What it has answered lately."""
        return frozenset(result.question for result in self.results)


def leaderboard(records: Iterable[Record], rows: int) -> list[ExamRow]:
    """The best first: by the lower end of pass@1's interval, so that one lucky exam leads nobody to the top."""
    sat = [row for record in records if (row := _row(record))]
    return sorted(sat, key=lambda row: (-row.low, -row.exams, row.user_id))[:rows]


def _row(record: Record) -> ExamRow | None:
    if not record.results:
        return None
    passed = rate([result.score >= FULL for result in record.results])
    fixed = [result.score >= FULL for result in record.results if result.is_fixed]
    on_fixed: Estimate | None = rate(fixed) if fixed else None
    return ExamRow(
        user_id=record.user_id,
        model_name=record.model_name,
        exams=len(record.results),
        pass_at_1=passed.value,
        low=passed.low,
        high=passed.high,
        mean_score=sum(result.score for result in record.results) / len(record.results),
        fixed_exams=len(fixed),
        fixed_pass_at_1=on_fixed.value if on_fixed else None,
        round=max(result.round for result in record.results),
    )


def _without(opened: tuple[Open, ...], closed: Open) -> tuple[Open, ...]:
    return tuple(one for one in opened if one.session_id != closed.session_id)
