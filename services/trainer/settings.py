"""What a trainer is told (config/trainer.yaml)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from shared.settings import ServiceSettings, Settings
from shared.tasks import Mix

# What the embedded model needs, and what is right for the models of the hub, where the settings leave it open.
FITTING: dict[bool, dict[str, dict[str, Any]]] = {
    True: {"game": {"max_new_tokens": 64}, "learner": {"learning_rate": 2e-4, "micro_groups": 0, "recompute": False}},
    False: {"game": {"max_new_tokens": 512}, "learner": {"learning_rate": 1e-6, "micro_groups": 1, "recompute": True}},
}

LossType = Literal["grpo", "dapo", "dr_grpo"]
Scaling = Literal["none", "group", "batch"]
PickName = Literal["uniform", "informative", "adaptive", "replay"]


class PolicySettings(Settings):
    """The model."""

    model: str = Field(min_length=1)  # `auto` until `choice.settle` has picked one
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")  # `cuda` and `auto` take a GPU that no other trainer has
    cpu_only: bool
    threads: int = Field(ge=0)
    hf_token: SecretStr | None


class GameSettings(Settings):
    """How answers are sampled."""

    name: str = Field(min_length=1)  # see games.py
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
    recompute: bool
    micro_completions: int = Field(
        default=0, ge=0
    )  # of a backward pass, where no whole group fits; see `preflight.fit`


class TrackingSettings(Settings):
    """Who is told of every round, beside Prometheus and the history file."""

    tensorboard: bool
    wandb: Literal["off", "offline", "online"]

    @field_validator("wandb", mode="before")
    @classmethod
    def _as_said(cls, value: object) -> object:
        said = str(value).lower()
        return {"true": "offline", "false": "off", "disabled": "off"}.get(said, said)


def _fitting(model: Any) -> dict[str, dict[str, Any]]:
    """`auto` that nobody has settled stands for the embedded model."""
    return FITTING[model in ("auto", "embedded")]


class MarketSettings(Settings):
    """The prediction market."""

    enabled: bool
    bet: Literal["kelly", "even"]  # see market/betting.py


class TrainerSettings(ServiceSettings):
    """All of a trainer's settings."""

    data: Mix
    policy: PolicySettings
    game: GameSettings
    learner: LearnerSettings
    tracking: TrackingSettings
    seed: int
    strict_questions: bool
    questions: int = Field(ge=1, le=256)
    max_external_peers: int = Field(ge=1)
    unsigned_share: float = Field(ge=0, le=1)
    exchange_patience_s: float = Field(ge=0)
    checkpoint_every: int = Field(ge=1)
    market: MarketSettings
    judge_url: str | None
    judge_every: int = Field(ge=1)
    solo_after_s: float = Field(gt=0)
    stays: bool
    left_open: frozenset[str] = frozenset()  # what fits the model because nobody set it, as `group.name`

    @model_validator(mode="before")
    @classmethod
    def _fit_to_model(cls, values: dict[str, Any]) -> dict[str, Any]:
        fitting, left_open = _fitting(values.get("policy", {}).get("model")), set()
        for group, defaults in fitting.items():
            given = values.get(group, {})
            unset = {key: value for key, value in defaults.items() if given.get(key) is None}
            values[group] = {**given, **unset}
            left_open |= {f"{group}.{key}" for key in unset}
        return {**values, "left_open": left_open}

    def for_model(self, model: str) -> TrainerSettings:
        """The same for another model: what nobody set fits that one."""
        update: dict[str, Any] = {"policy": self.policy.model_copy(update={"model": model})}
        for group, defaults in _fitting(model).items():
            fits = {key: value for key, value in defaults.items() if f"{group}.{key}" in self.left_open}
            update[group] = getattr(self, group).model_copy(update=fits)
        return self.model_copy(update=update)

    @field_validator("judge_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("a URL that begins with http:// or https:// is expected")
        return value
