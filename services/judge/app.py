"""The judge's REST API, as a stock RL Swarm node calls it; and its leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from services.judge.exam import Exam, Refused
from services.judge.limits import BodyLimit
from services.judge.metrics import REFUSED
from shared.exams import ExamBoard
from shared.market import Clue
from shared.messages import RoundNumber, Text

UserId = Annotated[str, Field(min_length=1, max_length=128)]


class Ask(BaseModel):
    """Somebody wants the question of a round."""

    user_id: UserId
    round_number: RoundNumber
    model_name: str = Field(max_length=256)


class Asked(BaseModel):
    """The question, and the session that takes one answer to it."""

    session_id: str
    question: str


class Answer(BaseModel):
    """An answer: the bare text, or a completion with answer tags."""

    session_id: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")]
    round_number: RoundNumber
    user_answer: Text
    user_id: UserId | None = None  # a stock node does not say


class Scored(BaseModel):
    """What the answer is worth, 0 to 1."""

    score: float


def build_app(exam: Exam, clue: Callable[[], Clue] = Clue) -> FastAPI:
    """The API over the exam, and what the prediction market shows now."""
    app = FastAPI(title="RL Swarm judge", docs_url=None, redoc_url=None)  # the docs pages load scripts from a CDN
    app.add_middleware(BodyLimit)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)

    @app.post("/request-question/")
    async def request_question(ask: Ask) -> Asked:
        session_id, question = await exam.ask(ask.user_id, ask.round_number, ask.model_name)
        return Asked(session_id=session_id, question=question)

    @app.post("/submit-answer/")
    async def submit_answer(answer: Answer) -> Scored:
        given = (answer.session_id, answer.round_number, answer.user_answer, answer.user_id)
        return Scored(score=await exam.grade(*given))

    @app.get("/leaderboard/")
    async def leaderboard() -> ExamBoard:
        return exam.board()

    @app.get("/results/")
    async def results(user_id: Annotated[str, Query(min_length=1, max_length=128)]) -> list[dict[str, object]]:
        return [result._asdict() for result in exam.results(user_id)]

    @app.get("/current_clue/")
    async def current_clue() -> Clue:
        return clue()

    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    later = {"Retry-After": "30"} if error.status == 503 else None
    return JSONResponse({"detail": str(error)}, error.status, later)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong without echoing it: FastAPI's own answer fails on NaN and on lone surrogates."""
    assert isinstance(error, RequestValidationError)
    REFUSED.labels("invalid").inc()
    return JSONResponse(
        {"detail": [{key: fault[key] for key in ("loc", "msg", "type")} for fault in error.errors()]}, 422
    )
