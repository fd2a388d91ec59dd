"""What identity is told (config/identity.yaml)."""

from __future__ import annotations

from pydantic import Field

from shared.settings import ServiceSettings


class IdentitySettings(ServiceSettings):
    """All of identity's settings."""

    identity_host: str = Field(min_length=1)
    identity_port: int = Field(ge=0, lt=65536)  # 0: any free port, named in the log
