"""What is run: study.yaml, typed, and the runs that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf
from pydantic import Field

from services.trainer.settings import PickName, TrainerSettings
from shared.settings import Settings, load

STUDY = Path(__file__).parent / "study.yaml"


class Regime(Settings):
    """Where a swarm starts, and how long it trains."""

    careful: tuple[float | None, ...] = Field(min_length=1)  # of the nodes in turn; None: the embedded model as it is
    rounds: int = Field(ge=1)


class Arm(Settings):
    """How a batch is made."""

    local: int = Field(ge=0)  # I
    external: int = Field(ge=0)  # J
    sampled: int = Field(ge=1)  # groups that a node samples in a round
    pick: PickName | Literal["unfiltered"]
    seeds: dict[str, int]  # regime -> how many


class Smoke(Settings):
    """The whole in small."""

    nodes: int = Field(ge=2)
    rounds: int = Field(ge=1)
    seeds: int = Field(ge=1)
    exam_questions: int = Field(ge=1)
    fit_steps: int = Field(ge=1)


class Study(Settings):
    """study.yaml."""

    nodes: int = Field(ge=2, le=26)
    exam_questions: int = Field(ge=1)
    fit_steps: int = Field(ge=1)
    trainer: dict[str, Any]  # overrides of the service's own settings
    regimes: dict[str, Regime]
    arms: dict[str, Arm]
    smoke: Smoke

    @property
    def digest(self) -> str:
        """Names the study: runs of another one are never mixed with its own."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:12]

    def small(self) -> Study:
        """The same in a few minutes; good for nothing but to see that it runs."""
        small = self.smoke
        regimes = {name: one.model_copy(update={"rounds": small.rounds}) for name, one in self.regimes.items()}
        arms = {
            name: arm.model_copy(update={"seeds": dict.fromkeys(arm.seeds, small.seeds)})
            for name, arm in self.arms.items()
        }
        sizes = {name: getattr(small, name) for name in ("nodes", "exam_questions", "fit_steps")}
        return self.model_copy(update={**sizes, "regimes": regimes, "arms": arms})


@dataclass(frozen=True)
class Run:
    """One swarm's training."""

    regime: str
    arm: str
    seed: int


def read_study(path: Path = STUDY) -> Study:
    """The study as written."""
    return Study.model_validate(OmegaConf.to_container(OmegaConf.load(path)))


def runs_of(study: Study) -> list[Run]:
    """All runs, seed by seed, so that what is done first can be compared already."""
    return [
        Run(regime, name, seed)
        for seed in range(1, 1 + max(count for arm in study.arms.values() for count in arm.seeds.values()))
        for regime in study.regimes
        for name, arm in study.arms.items()
        if seed <= arm.seeds.get(regime, 0)
    ]


def settings_of(study: Study, run: Run, model: str) -> TrainerSettings:
    """What the service's trainer would be told in this run."""
    arm = study.arms[run.arm]
    told = {
        **study.trainer,
        "policy.model": model,
        "learner.local_groups": arm.local,
        "learner.external_groups": arm.external,
        "questions": arm.sampled,
        "seed": run.seed,
    }
    return load("trainer", TrainerSettings, [f"{key}={value}" for key, value in told.items()])
