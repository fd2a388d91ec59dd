"""Another judge, asked in the place of our own bank: with a time limit, a bound on its words, and a circuit breaker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.judge.breaker import Breaker
from services.judge.metrics import UPSTREAM_FAILED, UPSTREAM_SECONDS, UPSTREAM_UP
from shared.health import Health
from shared.market import Clue
from shared.messages import Text

log = logging.getLogger(__name__)

MAX_ANSWER = 128 * 1024  # bytes
PART = "upstream"  # of the judge's health
A = TypeVar("A", bound=BaseModel)


class UpstreamDown(Exception):
    """The upstream judge is left alone, or did not answer as agreed."""


class UpstreamRefused(Exception):
    """The upstream judge answered, and says no."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the upstream judge refuses ({status})")
        self.status = status


class Given(BaseModel):
    """A question of the upstream judge's."""

    model_config = ConfigDict(frozen=True)

    session_id: str = Field(min_length=1, max_length=256)
    question: Text


class Graded(BaseModel):
    """What it says an answer is worth."""

    model_config = ConfigDict(frozen=True)

    score: float = Field(ge=0, le=1)


class Upstream:
    """Its REST API. Every request raises UpstreamDown or UpstreamRefused."""

    def __init__(self, url: str, timeout_s: float, health: Health, now: Callable[[], float] = time.monotonic) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=timeout_s)
        self._timeout_s, self._health, self._now = timeout_s, health, now
        self._breaker = Breaker()
        UPSTREAM_UP.set(1)

    @property
    def is_asked(self) -> bool:
        """The breaker is closed."""
        return self._breaker.state(self._now()) == "closed"

    async def ask(self, user_id: str, round_number: int, model_name: str) -> Given:
        """A question."""
        body: dict[str, str | int] = {"user_id": user_id, "round_number": round_number, "model_name": model_name}
        return await self._ask("POST", "/request-question/", body, Given)

    async def grade(self, session_id: str, round_number: int, answer: str) -> float:
        """The score of an answer."""
        body: dict[str, str | int] = {"session_id": session_id, "round_number": round_number, "user_answer": answer}
        return (await self._ask("POST", "/submit-answer/", body, Graded)).score

    async def clue(self) -> Clue:
        """What its prediction market shows."""
        return await self._ask("GET", "/current_clue/", None, Clue)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: dict[str, str | int] | None, answer: type[A]) -> A:
        if self._breaker.state(self._now()) == "open":
            raise UpstreamDown("it is left alone for a while")
        self._breaker = self._breaker.begun(self._now())
        try:
            # One limit for the whole: httpx's own is for each read, and a judge that drips would never reach it.
            async with asyncio.timeout(self._timeout_s):
                with UPSTREAM_SECONDS.time():
                    found = answer.model_validate_json(await self._read(method, path, body))
        except (httpx.HTTPError, TimeoutError, ValidationError, ValueError) as error:
            self._failed(error)
            raise UpstreamDown(str(error)) from error
        except UpstreamRefused:
            self._worked()
            raise
        self._worked()
        return found

    async def _read(self, method: str, path: str, body: dict[str, str | int] | None) -> bytes:
        async with self._http.stream(method, path, json=body) as response:
            if response.status_code in (404, 409):
                raise UpstreamRefused(response.status_code)
            response.raise_for_status()
            text = b""
            async for part in response.aiter_bytes():
                text += part
                if len(text) > MAX_ANSWER:
                    raise ValueError(f"it answers more than {MAX_ANSWER} bytes")
            return text

    def _failed(self, error: Exception) -> None:
        UPSTREAM_FAILED.inc()
        self._breaker = self._breaker.failed(self._now())
        if not self.is_asked:
            UPSTREAM_UP.set(0)
            reason = "not as agreed" if isinstance(error, ValidationError) else str(error) or type(error).__name__
            self._health.degrade(PART, f"{reason}; questions come from our own bank until it is back")

    def _worked(self) -> None:
        self._breaker = self._breaker.worked()
        UPSTREAM_UP.set(1)
        self._health.heal(PART)
