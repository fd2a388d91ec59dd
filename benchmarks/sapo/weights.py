"""The models that a regime starts from: the embedded one, or rarer careful ones made of it."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from services.trainer.model.policy import Policy
from services.trainer.settings import PolicySettings
from services.trainer.warmup.fit import Plan, fit
from services.trainer.warmup.tasks import Teacher, load_mix

QUESTIONS, FIRST = 5000, 30_000_000  # seeds of the questions it is made with, far from those of training
RATE, BATCH = 5e-4, 32  # as in the last step of `make model`


def start_model(careful: float | None, steps: int, folder: Path) -> str:
    """The model that thinks carefully with this probability, as the trainer's setting; made in `folder` if need be."""
    if careful is None:
        return "embedded"
    out = folder / f"careful-{careful}-{steps}"
    if not out.exists():
        torch.manual_seed(0)
        policy = Policy(PolicySettings(model="embedded", device="cpu", cpu_only=True, threads=1, hf_token=None))
        entries = list(load_mix("easy", QUESTIONS, FIRST))
        plan = Plan(steps=steps, learning_rate=RATE, batch=BATCH)
        for _ in fit(policy.model, policy.tokenizer, entries, Teacher(careful), plan=plan, rng=random.Random(0)):
            pass
        beside = out.with_suffix(".part")
        policy.save(beside)
        beside.rename(out)
    return str(out)
