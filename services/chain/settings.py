"""Settings of the chain (config/chain.yaml)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import ServiceSettings


class ChainSettings(ServiceSettings):
    """What the service is told; every field is explained in config/chain.yaml."""

    anvil: str = Field(min_length=1)
    chain_host: str = Field(min_length=1)
    chain_port: int = Field(gt=0, lt=65536)
    anvil_port: int = Field(ge=0, lt=65536)  # 0: any free one
    chain_id: int = Field(gt=0)
    state: Path | None

    @property
    def state_file(self) -> Path:
        """Where anvil keeps its state."""
        return self.state or self.state_dir / "chain" / "state.json"
