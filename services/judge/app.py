"""The judge's REST API, as a stock RL Swarm node calls it."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from services.judge.bank import Bank
from services.judge.limits import BodyLimit
from services.judge.metrics import QUESTIONS, REFUSED, SCORE, SCORING_SECONDS
from services.judge.sessions import Session, Sessions
from shared.messages import RoundNumber, Text

NO_GAME = -1


class Ask(BaseModel):
    """Somebody wants the question of a round."""

    user_id: str = Field(min_length=1, max_length=128)
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


class Scored(BaseModel):
    """What the answer is worth, 0 to 1."""

    score: float


class Clue(BaseModel):
    """The prediction market's clue. Negative ids mean that no game is on."""

    game_id: int = NO_GAME
    clue_id: int = NO_GAME
    rounds_remaining: int = NO_GAME
    clue: str = ""
    choices: list[str] = []


def build_app(bank: Bank, sessions: Sessions) -> FastAPI:
    """The API over a question bank."""
    app = FastAPI(title="RL Swarm judge", docs_url=None, redoc_url=None)  # the docs pages load scripts from a CDN
    app.add_middleware(BodyLimit)
    app.add_exception_handler(RequestValidationError, _invalid)

    @app.post("/request-question/")
    async def request_question(ask: Ask) -> Asked:
        now = time.monotonic()
        if sessions.full(now):
            REFUSED.labels("full").inc()
            raise HTTPException(503, "too many questions are open, try again later", {"Retry-After": "30"})
        question = await asyncio.to_thread(bank.question, ask.round_number)
        session_id = await sessions.open(Session(**ask.model_dump()), now)
        QUESTIONS.inc()
        return Asked(session_id=session_id, question=question)

    @app.post("/submit-answer/")
    async def submit_answer(answer: Answer) -> Scored:
        if await sessions.close(answer.session_id, answer.round_number) is None:
            REFUSED.labels("no_session").inc()
            raise HTTPException(404, "no such session in this round: unknown, expired, or answered already")
        with SCORING_SECONDS.time():
            score = await asyncio.to_thread(bank.score, answer.round_number, answer.user_answer)
        SCORE.observe(score)
        return Scored(score=score)

    @app.get("/current_clue/")
    async def current_clue() -> Clue:
        return Clue()

    return app


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong without echoing it: FastAPI's own answer fails on NaN and on lone surrogates."""
    assert isinstance(error, RequestValidationError)
    REFUSED.labels("invalid").inc()
    return JSONResponse(
        {"detail": [{key: fault[key] for key in ("loc", "msg", "type")} for fault in error.errors()]}, 422
    )
