"""The judge's exam: fetch a held-out question, answer it greedily, bring back the score."""

from __future__ import annotations

import time
from typing import TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from services.trainer.forward.sampling import sample
from services.trainer.metrics import JUDGE_SCORE
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from services.trainer.worker import work
from shared.messages import Judged, Round
from shared.runtime import Context
from shared.streams import EVENTS

TIMEOUT_S = 5.0
A = TypeVar("A", bound=BaseModel)


class JudgeError(Exception):
    """The judge did not answer, or not as agreed."""


class SatAlready(JudgeError):
    """This peer has answered this round's question, maybe before it was restarted."""


class Asked(BaseModel):
    """What /request-question/ answers."""

    session_id: str = Field(min_length=1, max_length=256)
    question: str = Field(max_length=20_000)


class Graded(BaseModel):
    """What /submit-answer/ answers."""

    score: float = Field(ge=0, le=1)


class Judge:
    """A judge's REST API. Every method raises JudgeError."""

    def __init__(self, url: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S)

    async def ask(self, peer: str, round_number: int, model: str) -> Asked:
        """A question for this round."""
        return await self._post("/request-question/", Asked, user_id=peer, round_number=round_number, model_name=model)

    async def grade(self, peer: str, asked: Asked, round_number: int, answer: str) -> float:
        """The score of an answer, 0 to 1."""
        body: dict[str, str | int] = {"session_id": asked.session_id, "user_id": peer}
        body |= {"round_number": round_number, "user_answer": answer}
        return (await self._post("/submit-answer/", Graded, **body)).score

    async def _post(self, path: str, answer: type[A], **body: str | int) -> A:
        try:
            response = await self._http.post(path, json=body)
            if response.status_code == httpx.codes.CONFLICT:
                raise SatAlready(f"{path}: this round's question is answered")
            response.raise_for_status()
            return answer.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise JudgeError(f"{path} failed: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


class Examiner:
    """Takes the exam every few rounds; without a judge, training goes on."""

    def __init__(self, settings: TrainerSettings, context: Context, peer: str, policy: Policy) -> None:
        self._settings, self._context, self._peer, self._policy = settings, context, peer, policy
        self._judge = Judge(settings.judge_url) if settings.judge_url else None

    async def examine(self, round_: Round) -> None:
        """One question, if an exam is due in this round."""
        if self._judge is None or round_.number % self._settings.judge_every:
            return
        try:
            asked = await self._judge.ask(self._peer, round_.number, self._policy.name)
            answer = await work(self._answer, asked.question)
            score = await self._judge.grade(self._peer, asked, round_.number, answer)
        except SatAlready:
            self._context.health.heal("judge")
            return
        except JudgeError as error:
            self._context.health.degrade("judge", str(error))
            return
        self._context.health.heal("judge")
        JUDGE_SCORE.set(score)
        judged = Judged(at=time.time(), peer_id=self._peer, round=round_.number, score=score)
        await self._context.queue.publish(EVENTS, judged)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._judge:
            await self._judge.close()

    def _answer(self, question: str) -> str:
        ((row,),) = sample(self._policy, [self._policy.prompt(question)], self._settings.game, None)
        return self._policy.decode(row).text
