"""One exam, from the question to the score.

ask    --> answered this round? no more.   still open? the same question again.
       --> upstream judge, if there is one and it answers; else the bank
grade  --> whoever asked the question scores it, once
"""

from __future__ import annotations

import asyncio
import time

from services.judge.bank import Bank, is_fixed, name_of_text
from services.judge.desk import Desk, Full
from services.judge.metrics import QUESTIONS, REFUSED, SCORE, SCORING_SECONDS
from services.judge.records import Open, Result, leaderboard
from services.judge.upstream import Given, Upstream, UpstreamDown, UpstreamRefused
from shared.exams import MAX_ROWS, ExamBoard


class Refused(Exception):
    """Not served; `status` is HTTP's."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        REFUSED.labels(reason).inc()


class Exam:
    """The judge's work. Both calls raise Refused."""

    def __init__(self, bank: Bank, desk: Desk, upstream: Upstream | None = None) -> None:
        self._bank, self._desk, self._upstream = bank, desk, upstream

    async def ask(self, user_id: str, round_number: int, model_name: str) -> tuple[str, str]:
        """Session and question."""
        if (before := self._before(user_id, round_number)) is None:
            given = await self._given(user_id, round_number, model_name)
            number = None
            if given is None:
                answered = self._desk.record(user_id).questions
                number = await asyncio.to_thread(self._bank.pick, round_number, answered)
            # Somebody may have asked the same in the same moment.
            before = self._before(user_id, round_number) or await self._open(
                user_id, model_name, round_number, number, given
            )
        question = before.question if before.number is None else await self._text(before.number)
        return before.session_id, question

    async def grade(self, session_id: str, round_number: int, answer: str, user_id: str | None = None) -> float:
        """The score, 0 to 1. A session is its peer's: where the caller says who he is, it must be he."""
        taken = self._desk.take(session_id, round_number, time.time())
        if taken is not None and user_id not in (None, taken[0]):
            self._desk.give_back(*taken)
            taken = None
        if taken is None:
            raise Refused(404, "no_session", "no such session in this round: unknown, expired, or answered already")
        peer, opened = taken
        try:
            score = await self._score(peer, opened, answer)
        except BaseException:  # cancelled, too: what was not scored stays open
            self._desk.give_back(peer, opened)
            raise
        SCORE.observe(score)
        await self._desk.close(peer, opened, self._result(opened, score))
        return score

    def board(self) -> ExamBoard:
        """The leaderboard."""
        records = self._desk.records
        source = "upstream" if self._upstream and self._upstream.is_asked else "bank"
        count = sum(bool(record.results) for record in records)
        return ExamBoard(bank=self._bank.name, source=source, peers=count, rows=tuple(leaderboard(records, MAX_ROWS)))

    def results(self, user_id: str) -> tuple[Result, ...]:
        """A peer's latest exams, in order."""
        return self._desk.record(user_id).results

    def _before(self, user_id: str, round_number: int) -> Open | None:
        """The question that is open to the peer already."""
        record = self._desk.record(user_id)
        if record.has_answered(round_number):
            raise Refused(409, "answered", "you have answered this round's question already")
        return record.open_in(round_number, time.time())

    async def _given(self, user_id: str, round_number: int, model_name: str) -> Given | None:
        if self._upstream is None:
            return None
        try:
            return await self._upstream.ask(user_id, round_number, model_name)
        except UpstreamRefused as error:
            raise Refused(409, "upstream", f"{error}: it has asked you in this round") from error
        except UpstreamDown:
            return None

    async def _open(
        self, user_id: str, model_name: str, round_number: int, number: int | None, given: Given | None
    ) -> Open:
        question, remote = (given.question, given.session_id) if given else ("", "")
        try:
            opened = await self._desk.open(user_id, model_name, round_number, time.time(), number, question, remote)
        except Full:
            raise Refused(503, "full", "too many questions are open, try again later") from None
        QUESTIONS.labels("upstream" if given else "bank").inc()
        return opened

    async def _text(self, number: int) -> str:
        return await asyncio.to_thread(self._bank.question, number)

    async def _score(self, peer: str, opened: Open, answer: str) -> float:
        if opened.number is not None:
            with SCORING_SECONDS.time():
                return await asyncio.to_thread(self._bank.score, opened.number, answer)
        try:
            if self._upstream is None:
                raise UpstreamDown("there is none any more")
            return await self._upstream.grade(opened.remote, opened.round_number, answer)
        except UpstreamRefused as error:
            await self._desk.close(peer, opened, None)
            raise Refused(404, "upstream", f"{error}: it knows this session no more") from error
        except UpstreamDown as error:
            raise Refused(503, "upstream", "the judge that asked this does not answer now, try again later") from error

    def _result(self, opened: Open, score: float) -> Result:
        if opened.number is None:
            return Result(opened.round_number, name_of_text(opened.question), False, score)
        return Result(opened.round_number, self._bank.id_of(opened.number), is_fixed(opened.number), score)
