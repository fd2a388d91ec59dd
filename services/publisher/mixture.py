"""One model's weights from several models' of the same base: a mean of them, or the base plus their changes.

linear            sum of w_i * theta_i, the w_i summing up to 1                 (model soups, arXiv 2203.05482)
task-arithmetic   theta_0 + scale * sum of w_i * (theta_i - theta_0), the w_i summing up to their number
                                                                                (task vectors, arXiv 2212.04089)

mergekit knows these and many more; it would bring datasets, peft, sentencepiece and scipy along, for two formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from shared.errors import SwarmError

SINGLE = "model.safetensors"


def mix(
    parents: Sequence[Path], weights: Sequence[float], out: Path, base: Path | None = None, scale: float = 1.0
) -> None:
    """Write the safetensors of a folder; with `base`, by task arithmetic. Computed in float32, kept as the parents are.

    One tensor at a time is read of each. Raises SwarmError if they are not alike, OSError.
    """
    shares = normalized(weights, len(parents))
    with ExitStack() as held:
        models = [Opened(folder, held) for folder in parents]
        origin = Opened(base, held) if base else None
        for other in [*models[1:], *([origin] if origin else [])]:
            models[0].must_be_like(other)
        mixed = {name: _mixed(name, models, shares, origin, scale) for name in sorted(models[0].shapes)}
        save_file(mixed, out / SINGLE, metadata={"format": "pt"})
    (out / SINGLE).chmod(0o644)


def normalized(weights: Sequence[float], count: int) -> list[float]:
    """Shares that sum up to 1; equal ones where none are given. Raises SwarmError."""
    given = list(weights) or [1.0] * count
    if len(given) != count or sum(given) <= 0 or min(given) < 0:
        raise SwarmError(f"{count} models need as many weights, not below 0 and not all 0", "see --weights")
    return [one / sum(given) for one in given]


class Opened:
    """The tensors of a folder that transformers wrote, in one file or several."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.folder = folder
        self._files: dict[str, Any] = {}
        for path in sorted(folder.glob("*.safetensors")):
            file = held.enter_context(safe_open(path, framework="pt"))
            self._files |= dict.fromkeys(file.keys(), file)
        if not self._files:
            raise SwarmError(f"there are no safetensors in {folder}", "name a published model's folder or repository")
        self.shapes = {name: tuple(file.get_slice(name).get_shape()) for name, file in self._files.items()}

    def must_be_like(self, other: Opened) -> None:
        """Raise SwarmError if the other one has other tensors."""
        odd = sorted(name for name in {*self.shapes, *other.shapes} if self.shapes.get(name) != other.shapes.get(name))
        if odd:
            raise SwarmError(
                f"{other.folder} and {self.folder} are no models of the same shape: they differ in {odd[0]}",
                "merge models that were trained from the same one",
            )

    def tensor(self, name: str) -> Tensor:
        """One tensor, as it is stored."""
        found: Tensor = self._files[name].get_tensor(name)
        return found


def _mixed(name: str, models: Sequence[Opened], shares: Sequence[float], base: Opened | None, scale: float) -> Tensor:
    tensors = [model.tensor(name) for model in models]
    mean = torch.stack([share * one.float() for share, one in zip(shares, tensors, strict=True)]).sum(0)
    if base is not None:
        origin = base.tensor(name).float()
        mean = origin + scale * len(models) * (mean - origin)
    return mean.to(tensors[0].dtype).contiguous()
