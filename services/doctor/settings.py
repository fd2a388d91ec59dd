"""What the doctor is told (config/doctor.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from shared.settings import ServiceSettings


def _listed(value: Any) -> Any:
    """Multiaddresses between commas, or a JSON list of them, as the environment has them."""
    if not isinstance(value, str):
        return value or ()
    return tuple(part for part in value.replace('"', " ").replace("[", " ").replace("]", " ").replace(",", " ").split())


class DoctorSettings(ServiceSettings):
    """All of the doctor's settings; what is None is not looked at."""

    redis_url: str | None  # type: ignore[assignment]
    chain_url: str | None
    chain_id: int = Field(ge=1, lt=2**53)
    swarm_contract: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    signer_url: str | None
    signing_token_file: Path | None
    judge_url: str | None
    initial_peers: Annotated[tuple[str, ...], BeforeValidator(_listed)]
    hub: str = Field(pattern=r"^https?://")
    hub_token: str | None
    publish: bool
    cpu_only: bool
    peers: int = Field(ge=1)
    patience_s: float = Field(gt=0)
