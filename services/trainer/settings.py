"""What a trainer is told (config/trainer.yaml)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.settings import ServiceSettings, Settings
from shared.tasks import Mix

# What the embedded model needs, and what is right for the models of the hub, where the settings leave it open.
FITTING: dict[bool, dict[str, dict[str, Any]]] = {
    True: {"game": {"max_new_tokens": 64}, "learner": {"learning_rate": 2e-4, "micro_groups": 0}},
    False: {"game": {"max_new_tokens": 512}, "learner": {"learning_rate": 1e-6, "micro_groups": 1}},
}

LossType = Literal["grpo", "dapo", "dr_grpo"]
Scaling = Literal["none", "group", "batch"]
PickName = Literal["uniform", "informative", "adaptive", "replay"]


class PolicySettings(Settings):
    """The model."""

    model: str = Field(min_length=1)
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")  # `cuda` and `auto` take a GPU that no other trainer has
    cpu_only: bool
    threads: int = Field(ge=0)
    hf_token: SecretStr | None


class GameSettings(Settings):
    """How answers are sampled."""

    name: Literal["answer"]
    completions: int = Field(ge=2, le=64)  # G
    max_new_tokens: int = Field(ge=1, le=32_768)
    temperature: float = Field(gt=0)
    top_k: int = Field(ge=0)
    top_p: float = Field(gt=0, le=1)


class LearnerSettings(Settings):
    """The update."""

    local_groups: int = Field(ge=0)  # I
    external_groups: int = Field(ge=0)  # J
    pick: PickName
    loss: LossType
    epsilon: float = Field(gt=0, lt=1)
    epsilon_high: float = Field(gt=0)
    beta: float = Field(ge=0)
    scale_rewards: Scaling
    iterations: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    max_gradient_norm: float = Field(gt=0)
    micro_groups: int = Field(ge=0)


class TrainerSettings(ServiceSettings):
    """All of a trainer's settings."""

    data: Mix
    policy: PolicySettings
    game: GameSettings
    learner: LearnerSettings
    seed: int
    questions: int = Field(ge=1, le=256)
    max_external_peers: int = Field(ge=1)
    exchange_patience_s: float = Field(ge=0)
    checkpoint_every: int = Field(ge=1)
    judge_url: str | None
    judge_every: int = Field(ge=1)
    solo_after_s: float = Field(gt=0)
    stays: bool

    @model_validator(mode="before")
    @classmethod
    def _fit_to_model(cls, values: dict[str, Any]) -> dict[str, Any]:
        fitting = FITTING[values.get("policy", {}).get("model") == "embedded"]
        for group, defaults in fitting.items():
            given = values.get(group, {})
            values[group] = {**given, **{key: v for key, v in defaults.items() if given.get(key) is None}}
        return values

    @field_validator("judge_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("a URL that begins with http:// or https:// is expected")
        return value
