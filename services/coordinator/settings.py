"""What the coordinator is told (config/coordinator.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from shared.errors import SettingsError
from shared.settings import ServiceSettings, Settings, read_secret

STAGES = {"answer": 1, "debate": 3}  # of a round, by the trainers' game
LEDGER = "ledger"  # in the place of a chain's address: there is none, see ledger.py
ARTIFACTS = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"


def _word(value: object) -> object:
    """YAML reads a bare yes or no as a boolean."""
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class ClockSettings(Settings):
    """When a round ends."""

    leads: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_word)]  # auto: if our account is a stage manager
    min_s: float = Field(ge=0)
    max_s: float = Field(gt=0)
    quorum: float = Field(gt=0, le=1)
    max_rounds: int | None = Field(ge=1)
    stages: int | None = Field(default=None, ge=1, le=16)
    game: str | None = None
    ledger: bool = False  # the rounds are those of a ledger on this machine

    @model_validator(mode="after")
    def _ordered(self) -> ClockSettings:
        if self.min_s > self.max_s:
            raise ValueError(f"ROUND_MIN_S ({self.min_s}) is above ROUND_MAX_S ({self.max_s})")
        return self

    @property
    def wanted_stages(self) -> int | None:
        """Stages in a round, as set or as the game has; None: as the contract has it."""
        return self.stages or STAGES.get(self.game or "")


class MarketSettings(Settings):
    """The prediction market."""

    enabled: bool
    contract: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")  # None: the founder's coordinator deploys one
    clue_s: float = Field(gt=0, le=86_400)  # from one clue to the next


class CoordinatorSettings(ServiceSettings):
    """All of the coordinator's settings."""

    chain_url: str = Field(pattern=rf"^(https?://.+|{LEDGER})$")
    chain_id: int = Field(ge=1, lt=2**53)  # that a ledger's transactions are signed for; a chain tells its own
    swarm_contract: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    artifacts: Path | None
    signer_url: str = Field(pattern=r"^https?://")
    signing_token_file: Path | None
    clock: ClockSettings
    market: MarketSettings = MarketSettings(enabled=False, contract=None, clue_s=60)
    poll_s: float = Field(gt=0)
    batch: int = Field(ge=1, le=500)
    receipt_timeout_s: float = Field(gt=0)

    @property
    def home(self) -> Path:
        """Where our deployment is kept."""
        return self.state_dir / "coordinator"

    def signing_token(self) -> str:
        """What identity knows us by. Raises SettingsError."""
        token = read_secret(self.signing_token_file, "SIGNING_TOKEN_FILE")
        if token is None:
            raise SettingsError(
                "the coordinator has no token for identity, which signs for it", "set SIGNING_TOKEN_FILE for both"
            )
        return token

    @property
    def contracts(self) -> Path:
        """The folder of the compiled contracts."""
        return self.artifacts or ARTIFACTS
