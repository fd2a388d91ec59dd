"""What the judge is told (config/judge.yaml)."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings
from shared.tasks import Mix


class JudgeSettings(ServiceSettings):
    """All of the judge's settings."""

    data: Mix
    judge_host: str = Field(min_length=1)
    judge_port: int = Field(ge=0, lt=65536)  # 0: any free port, named in the log
    session_ttl_s: float = Field(gt=0, le=86_400)
    max_sessions: int = Field(ge=1)
