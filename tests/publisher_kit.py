"""What publisher tests share: facts of a checkpoint, and a small run that has been trained for real."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from services.publisher.evaluation import Estimate, Evaluation, Line
from services.publisher.facts import Facts
from services.publisher.licence import Licence
from shared.checkpoints import Lineage, Origin, Standing
from shared.health import Health
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from tests.examples import ALICE, BOB

APACHE = Licence("apache-2.0", sentence="apache-2.0, inherited from the base model.")
CONTRACT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"

ORIGIN = Origin(
    model="Qwen/Qwen3-0.6B",
    source="/state/hub/Qwen3-0.6B",
    parameters=596_049_920,
    system_prompt="Think first.",
    data={
        "name": "two",
        "datasets": [
            {"name": "lcm", "weight": 3.0, "config": {"max_value": 12}, "file": None, "scorer": "exact"},
            {"name": "gsm8k", "weight": 1.0, "config": {}, "file": "train.jsonl", "scorer": "number"},
        ],
    },
    game={"name": "answer", "completions": 8, "max_new_tokens": 512, "temperature": 1.0, "top_k": 0, "top_p": 1.0},
    learner={"learning_rate": 1e-6, "loss": "dr_grpo", "local_groups": 4, "external_groups": 4, "pick": "replay"},
    questions=8,
    seed=42,
    device="NVIDIA H100",
    machine={"processor": "A processor", "cores": 16, "memory": 64 * 2**30},
    versions={"Python": "3.11.2", "torch": "2.13.0"},
    commit="0f" * 20,
)
STANDING = Standing(
    step=120,
    round=119,
    swarm=f"685685:{CONTRACT}:1",
    sha256="5e" * 32,
    lineage=Lineage(updates=118, own=590, signed=340, unsigned=14, peers={BOB: 340}),
)


def estimate(value):
    return Estimate(value=value, low=value - 0.02, high=value + 0.03)


def line(passed, mean, questions=50):
    return Line(questions=questions, pass_at_1=estimate(passed), mean_at_k=estimate(mean))


EVALUATION = Evaluation(
    mix="two",
    seed=42,
    samples=8,
    before={"lcm": line(0.2, 0.25), "gsm8k": line(0.1, 0.12), "all": line(0.15, 0.2, 100)},
    after={"lcm": line(0.5, 0.55), "gsm8k": line(0.3, 0.32), "all": line(0.4, 0.45, 100)},
    gain={"lcm": estimate(0.3), "gsm8k": estimate(0.2), "all": estimate(0.25)},
)
FACTS = Facts(
    repository="me/Qwen3-0.6B-Gensyn-Swarm-tall_tame_panther",
    swarm="home",
    peer=ALICE,
    origin=ORIGIN,
    standing=STANDING,
    base="Qwen/Qwen3-0.6B",
    licence=APACHE,
    dtype="bfloat16",
    evaluation=EVALUATION,
    plot="curves.png",
    no_gguf=("none was asked for",),
)
EMBEDDED = replace(
    FACTS,
    repository="rlswarm-embedded-Gensyn-Swarm-tall_tame_panther",
    origin=ORIGIN.model_copy(update={"model": "embedded"}),
    base=None,
)


def environment(hub, **changes: str) -> dict[str, str]:
    """What a process is told: the hub here, and no token that this machine may have."""
    told = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_secret", "HUGGINGFACE_ACCESS_TOKEN": "", "HF_HUB_OFFLINE": "0"}
    return {**os.environ, **told, **changes}


def environment_of(state: Path, **changes: str) -> dict[str, str]:
    """What a process is told that finds a trainer's checkpoints there, and no token."""
    return {**os.environ, "STATE_DIR": str(state), "HF_TOKEN": "", "HUGGINGFACE_ACCESS_TOKEN": "", **changes}


def trainer_of(state: Path, peer: str = ALICE, *overrides: str):
    """A real trainer of the embedded model, alone in its household, that learns fast."""
    from services.trainer.loop import Trainer
    from services.trainer.settings import TrainerSettings

    given = [f"state_dir={state}", "policy.model=embedded", "exchange_patience_s=0", "learner.learning_rate=0.002"]
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    return Trainer(load("trainer", TrainerSettings, [*given, *overrides]), context, peer)


async def train(trainer, rounds: int, first: int = 0) -> None:
    """Play so many rounds, and write down their numbers."""
    for number in range(first, first + rounds):
        now = time.time()
        swarm = f"685685:{CONTRACT}:1"
        await trainer.play(Round(number=number, stage=0, opened_at=now, deadline=now + 20, swarm=swarm))
    trainer.tracks.close()
