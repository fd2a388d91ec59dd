"""GRPO's clipped loss, with TRL's loss types under TRL's names.

grpo     mean over completions of the mean over their tokens        (arXiv 2402.03300, eq. 3)
dapo     sum over all tokens / number of tokens of the batch        (arXiv 2503.14476, eq. 8)
dr_grpo  sum over all tokens / (completions x longest completion)   (arXiv 2503.20783, eq. 2)

With beta, a token also pays for its distance from the reference model: the estimator k3 of the KL divergence
(arXiv 2402.03300, eq. 4), times the ratio, which makes its gradient unbiased (arXiv 2512.02556), as TRL does it.
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
    reference: Tensor | None = None,
    beta: float = 0.0,
) -> Tensor:
    """The loss of n of the batch's N completions, a scalar.

    log_probs, old_log_probs, reference: (n, T) of the sampled tokens, nats; only the first with gradient.
    advantages: (n,). mask: (n, T), 1 for tokens of the completion. Whatever stands beyond the mask counts for nothing.
    """
    ratio = torch.exp((log_probs - old_log_probs) * mask)
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    gain = torch.minimum(ratio * advantages[:, None], clipped * advantages[:, None])
    if reference is not None:
        gain = gain - beta * divergence(log_probs, old_log_probs, reference, mask)
    gain = gain * mask
    if kind == "grpo":
        return -(gain.sum(1) / mask.sum(1).clamp(min=1)).sum() / scale.completions
    if kind == "dapo":
        return -gain.sum() / scale.tokens
    return -gain.sum() / (scale.completions * scale.max_length)


def divergence(log_probs: Tensor, old_log_probs: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """KL(policy || reference) as estimated from each token, (n, T), nats, never negative; 0 beyond the mask.

    k3, times the ratio: the tokens were drawn from the old policy.
    """
    apart = (reference - log_probs) * mask
    return torch.exp((log_probs - old_log_probs) * mask) * (torch.exp(apart) - apart - 1)


def binding(
    log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, *, epsilon: float, epsilon_high: float
) -> Tensor:
    """Where clipping binds, (n, T) of 0 and 1: tokens without a gradient, as they went far enough already."""
    ratio = torch.exp((log_probs - old_log_probs) * mask)
    gains = advantages[:, None]
    return (((ratio > 1 + epsilon_high) & (gains > 0)) | ((ratio < 1 - epsilon) & (gains < 0))) * mask
