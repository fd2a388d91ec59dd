"""GRPO's clipped loss, with TRL's loss types under TRL's names.

grpo     mean over completions of the mean over their tokens        (arXiv 2402.03300, eq. 3)
dapo     sum over all tokens / number of tokens of the batch        (arXiv 2503.14476, eq. 8)
dr_grpo  sum over all tokens / (completions x longest completion)   (arXiv 2503.20783, eq. 2)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from services.trainer.settings import LossType


@dataclass(frozen=True)
class Scale:
    """What a batch is divided by, so that the sum over its micro-batches is the whole batch's loss."""

    completions: int  # N
    tokens: int  # completion tokens, end tokens included
    max_length: int  # tokens a completion may have


def grpo_loss(
    log_probs: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    kind: LossType,
    epsilon: float,
    epsilon_high: float,
    scale: Scale,
) -> Tensor:
    """The loss of n of the batch's N completions, a scalar.

    log_probs, old_log_probs: (n, T) of the sampled tokens, nats; the old ones without gradient.
    advantages: (n,). mask: (n, T), 1 for tokens of the completion.
    """
    ratio = torch.exp(log_probs - old_log_probs)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    gain = torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None]) * mask
    if kind == "grpo":
        return -(gain.sum(1) / mask.sum(1).clamp(min=1)).sum() / scale.completions
    if kind == "dapo":
        return -gain.sum() / scale.tokens
    return -gain.sum() / (scale.completions * scale.max_length)
