"""What the publisher is told (config/publisher.yaml)."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from shared.settings import ServiceSettings


class PublisherSettings(ServiceSettings):
    """All of the publisher's settings."""

    enabled: bool
    token: SecretStr | None
    owner: str | None = Field(pattern=r"^[\w.-]{1,96}$")
    infix: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,30}[A-Za-z0-9])?$")
    private: bool
    every_rounds: int | None = Field(ge=1)
    every_minutes: float | None = Field(gt=0)
    questions: int = Field(ge=1, le=1_000)
    samples: int = Field(ge=2, le=64)
    evaluation_max_s: float = Field(gt=0)
    with_gguf: bool
    with_state: bool

    @model_validator(mode="after")
    def _looks_at_all(self) -> PublisherSettings:
        if self.every_rounds is None and self.every_minutes is None:
            raise ValueError("PUBLISH_EVERY_ROUNDS or PUBLISH_EVERY_MINUTES is needed; PUBLISH=false publishes nothing")
        return self
