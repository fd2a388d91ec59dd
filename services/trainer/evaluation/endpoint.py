"""A model served elsewhere: the answers of any server that speaks OpenAI's chat completions, marked like our own.

vLLM, TGI, llama.cpp's server, Ollama and the like. The server applies its own chat template to the same system prompt
and question that our models are given.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from statistics import fmean
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from services.trainer.evaluation.exam import FULL, Marks, Papers
from services.trainer.games.tasks import Tasks
from services.trainer.model.prompt import chat
from services.trainer.settings import GameSettings
from shared.errors import SettingsError, SwarmError
from shared.messages import MAX_TEXT, Question
from shared.tasks import seed_of

KEY = "OPENAI_API_KEY"
TIMEOUT_S = 300.0  # of one answer: a large model on a processor takes its time
ATTEMPTS = 6
LONGEST_WAIT_S = 20.0  # between two of them
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Message(BaseModel):
    """What the model says; some servers send nothing where it said nothing."""

    content: str | None = None


class Choice(BaseModel):
    """One answer."""

    message: Message


class Answered(BaseModel):
    """What /chat/completions answers, as far as it matters here."""

    model_config = ConfigDict(frozen=True)

    choices: list[Choice] = Field(min_length=1)


class Busy(Exception):
    """Not now; `after_s`: the server says when."""

    def __init__(self, cause: str, after_s: float = 0.0) -> None:
        super().__init__(cause)
        self.after_s = after_s


class Endpoint:
    """One model of a server. Every call raises SwarmError, where the server says no a SettingsError."""

    def __init__(self, url: str, model: str, concurrency: int, wait_s: float = 0.5) -> None:
        """`wait_s`: before the second attempt, at most; twice as long before each further one."""
        if not url.startswith(("http://", "https://")):
            raise SettingsError(f"the endpoint {url!r} is no URL", "write it like http://host:8000/v1")
        key = os.environ.get(KEY, "").strip()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT_S)
        self._url, self._model, self._wait_s = url, model, wait_s
        self._turn = asyncio.Semaphore(concurrency)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def answer(self, question: str, game: GameSettings, seed: int | None) -> str:
        """One completion; without a seed the likeliest."""
        body = {"model": self._model, "messages": chat(question), "max_tokens": game.max_new_tokens}
        body |= (
            {"temperature": 0} if seed is None else {"temperature": game.temperature, "top_p": game.top_p, "seed": seed}
        )
        async with self._turn:
            try:
                async for attempt in self._attempts():
                    with attempt:
                        return await self._post(body)
            except Busy as error:
                raise SwarmError(
                    f"{self._url} does not answer: {error}", "see that it runs, or lower --concurrency"
                ) from error
        raise AssertionError("the attempts end in an answer or an error")

    def _attempts(self) -> AsyncRetrying:
        backoff = wait_random_exponential(multiplier=self._wait_s, max=LONGEST_WAIT_S)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            told = error.after_s if isinstance(error, Busy) else 0.0
            return max(backoff(state), min(told, LONGEST_WAIT_S))

        return AsyncRetrying(
            retry=retry_if_exception_type(Busy), stop=stop_after_attempt(ATTEMPTS), wait=wait, reraise=True
        )

    async def _post(self, body: dict[str, Any]) -> str:
        try:
            response = await self._http.post("/chat/completions", json=body)
        except httpx.HTTPError as error:
            raise Busy(str(error) or type(error).__name__) from error
        if response.status_code in AGAIN:
            raise Busy(f"status {response.status_code}", _seconds(response.headers.get("retry-after", "")))
        if response.status_code != httpx.codes.OK:
            raise SettingsError(
                f"{self._url} refuses ({response.status_code}): {response.text[:200]}",
                f"see the URL (it ends in /v1), the name of the model, and {KEY}",
            )
        try:
            told = Answered.model_validate_json(response.content).choices[0].message.content
        except ValidationError as error:
            raise SettingsError(
                f"{self._url} answers something else than a chat completion", "see the URL: it ends in /v1"
            ) from error
        return (told or "")[:MAX_TEXT]


async def sit_at(
    endpoint: Endpoint, tasks: Tasks, questions: Papers, game: GameSettings, seed: int, advance: Callable[[int], object]
) -> dict[str, Marks]:
    """The served model's marks by set, see `exam.sit`."""

    async def one(name: str, number: int, question: Question) -> tuple[bool, float]:
        async def reward(drawn: int | None) -> float:
            return tasks.score(question, await endpoint.answer(question.text, game, drawn))

        draws = [seed_of("exam", seed, name, number, copy) for copy in range(game.completions)]
        greedy, *rewards = await asyncio.gather(reward(None), *map(reward, draws))
        advance(1)
        return greedy >= FULL, fmean(rewards)

    async with asyncio.TaskGroup() as group:
        sitting = {
            name: [group.create_task(one(name, number, question)) for number, question in enumerate(asked)]
            for name, asked in questions.items()
        }
    marks = {name: [task.result() for task in set_] for name, set_ in sitting.items()}
    return {
        name: Marks(tuple(passed for passed, _ in set_), tuple(reward for _, reward in set_))
        for name, set_ in marks.items()
    }


def _seconds(text: str) -> float:
    """Of a Retry-After header; a date is taken as now."""
    return float(text) if text.isdecimal() else 0.0
