"""What the judge is told (config/judge.yaml)."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from shared.settings import ServiceSettings
from shared.tasks import Mix


class JudgeSettings(ServiceSettings):
    """All of the judge's settings."""

    data: Mix
    judge_host: str = Field(min_length=1)
    judge_port: int = Field(ge=0, lt=65536)  # 0: any free port, named in the log
    session_ttl_s: float = Field(gt=0, le=86_400)
    max_sessions: int = Field(ge=1)
    upstream_url: str | None = None  # of another judge that makes and scores the questions; None: our own bank does
    upstream_timeout_s: float = Field(gt=0, lt=5)  # of a request to it; a trainer waits 5 s for us

    prg_game: bool = False  # take part in the prediction market

    @field_validator("upstream_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise ValueError("not a URL; write http://host:8000 or https://host")
        return url
