"""What the local stack is told (config/local.yaml)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import Settings, load


class LocalSettings(Settings):
    """All of the local stack's settings."""

    runs_dir: Path
    cache_dir: Path
    peers: int = Field(ge=1, le=64)
    rounds: int | None = Field(ge=1)
    model: str | None
    chain_id: int | None = Field(ge=1, lt=2**53)
    settled_s: int = Field(ge=1)  # a program that lives so long has started well
    start_retries: int = Field(ge=0)
    stop_wait_s: int = Field(ge=1)
    log_megabytes: int = Field(ge=1)
    log_backups: int = Field(ge=0)


def local_settings() -> LocalSettings:
    """The settings, validated; raises SettingsError."""
    return load("local", LocalSettings)
