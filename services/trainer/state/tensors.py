"""Weights and optimizer state as one safetensors file.

model.<parameter>      the weights, float32; tied ones once
exp_avg.<parameter>    AdamW's moments, and how often it stepped (`step`); absent before the first update
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from services.trainer.learning.learner import Learner
from services.trainer.model.policy import Policy

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def write_tensors(policy: Policy, learner: Learner, path: Path) -> None:
    """Write the file. Raises OSError, also where `save_file` has another name for a full disk."""
    tensors = {name: tensor.contiguous().cpu() for name, tensor in _tensors(policy, learner).items()}
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error


def read_tensors(policy: Policy, learner: Learner, path: Path) -> None:
    """Restore what the file holds, one tensor at a time: a large model does not fit twice.

    Raises OSError or ValueError before anything is changed, if this is not a file of the policy's own model.
    """
    weights: dict[str, Any] = dict(policy.model.named_parameters())
    try:
        with safe_open(path, framework="pt", device=str(policy.device)) as file:
            _check(file, weights)
            stored = frozenset(file.keys())
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(file.get_tensor(f"model.{name}"))
                    if f"exp_avg.{name}" in stored:
                        # Copies: what is mapped would keep a deleted checkpoint on the disk.
                        state = {moment: file.get_tensor(f"{moment}.{name}").clone() for moment in MOMENTS}
                        learner.optimizer.state[weight] = {**state, "step": state["step"].cpu()}
    except SafetensorError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def load_weights(policy: Policy, path: Path) -> None:
    """Give a policy the weights alone. Raises OSError or ValueError before anything is changed."""
    weights: dict[str, Any] = dict(policy.model.named_parameters())
    try:
        with safe_open(path, framework="pt", device=str(policy.device)) as file:
            _check(file, weights)
            with torch.no_grad():
                for name, weight in weights.items():
                    weight.copy_(file.get_tensor(f"model.{name}"))
    except SafetensorError as error:
        raise ValueError(f"{path.name} cannot be read: {error}") from error


def digest(path: Path) -> str:
    """The file's sha256. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(file: Any, weights: dict[str, Any]) -> None:
    stored = frozenset(file.keys())
    for name, weight in weights.items():
        if f"model.{name}" not in stored:
            raise ValueError(f"it holds another model: there is no {name} in it")
        if (shape := file.get_slice(f"model.{name}").get_shape()) != list(weight.shape):
            raise ValueError(f"it holds another model: its {name} is {shape}, not {list(weight.shape)}")


def _tensors(policy: Policy, learner: Learner) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, weight in policy.model.named_parameters():
        tensors[f"model.{name}"] = weight.detach()
        for moment, value in learner.optimizer.state.get(weight, {}).items():
            tensors[f"{moment}.{name}"] = value
    return tensors
