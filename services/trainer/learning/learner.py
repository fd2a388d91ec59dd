"""One GRPO update on a mixed batch of groups.

The ratio of GRPO's loss compares the policy with the old one: the one that sampled, or what stands for it.

- A group sampled here by the present weights: the old policy is the present one, so the ratio is exactly 1 before the
  first step, and clipping binds from the second iteration. What was noted when it was sampled is not used: it differs
  by rounding (the cache, bfloat16) and, with top-k or top-p, by what the cuts took away, and neither is something the
  policy has moved by.
- A group sampled here by earlier weights (late work): the log-probabilities noted when it was sampled. This is what
  importance sampling needs, cuts and all, and clipping binds at once where the policy has moved on.
- A peer's group: tokenized from text, its end token restored. The present policy stands for the one that sampled it:
  the peer's log-probabilities are neither sent nor to be trusted (SAPO treats external rollouts as if sampled here).

Tokens and log-probabilities are those of this policy's own tokenizer and temperature in all three cases.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from services.trainer import metrics
from services.trainer.forward.likelihood import log_probs
from services.trainer.learning.advantages import batch_advantages
from services.trainer.learning.batches import Batch, spans
from services.trainer.learning.loss import Scale, binding, divergence, grpo_loss
from services.trainer.learning.movement import Movement
from services.trainer.learning.rollout import Scored
from services.trainer.model.out_of_memory import first_line, halved, is_out_of_memory, release
from services.trainer.model.policy import Policy
from services.trainer.settings import LearnerSettings
from shared.errors import SwarmError

log = logging.getLogger(__name__)

Noop = Literal["empty", "flat", "nonfinite"]


@dataclass(frozen=True)
class Update:
    """What an update did, in its last iteration."""

    loss: float
    gradient_norm: float  # before clipping
    clipped: float = 0.0  # share of the tokens without gradient, as the ratio went far enough already
    kl: float = 0.0  # mean divergence of a token from the reference model, nats; 0 without one
    changed: float | None = None  # share of the weights that the step changed
    noop: Noop | None = None  # why nothing was learnt: weights and optimizer are as they were


@dataclass
class Sums:
    """What the micro-batches of a pass add up to."""

    loss: Tensor | float = 0.0
    clipped: Tensor | float = 0.0  # tokens
    kl: Tensor | float = 0.0
    old: list[Tensor] = field(default_factory=list)  # of each completion: the log-probs its ratio was taken against


class Learner:
    """The policy's optimizer."""

    def __init__(self, policy: Policy, settings: LearnerSettings, *, temperature: float, max_new_tokens: int) -> None:
        self._policy, self._settings = policy, settings
        self._temperature, self._max_length = temperature, max_new_tokens
        self._reference = policy.reference() if settings.beta else None
        self._movement = Movement(policy.model.parameters())
        self.micro_completions = 0  # of a backward pass at most, found out by running out of memory; 0: not yet
        self.optimizer = torch.optim.AdamW(
            policy.model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,  # one pass over each parameter, and no copies of it
        )

    def update(self, groups: Sequence[Scored], step: int | None = None) -> Update:
        """Learn from the groups; what a pass found before its (last) step.

        Those of `step` were sampled by the present weights; None: all were. Groups and completions without an
        advantage count in what the loss is divided by, and are not computed.
        """
        if not any(group.informative for group in groups):
            return Update(0.0, 0.0, noop="flat" if groups else "empty")
        batch = self._batch(groups, step)
        scale = Scale(len(batch.completions), sum(map(len, batch.completions)), self._max_length)
        if self._reference is None:
            batch = batch.teaching()
        self._policy.model.eval()  # no dropout: the ratio would compare two draws of it, and resumed runs differ
        done = Update(0.0, 0.0, noop="nonfinite")
        for _ in range(self._settings.iterations):
            sums = self._gradients(batch, scale)
            batch = batch.since(sums.old)
            if (step_done := self._step(sums, scale)) is None:
                break
            done = step_done
        self.optimizer.zero_grad(set_to_none=True)  # nobody needs them, and sampling needs the memory
        return done

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `likelihood.log_probs`: of the policy."""
        again = self._settings.recompute
        return log_probs(self._policy, self._policy.model, batch, self._temperature, recompute=again)

    def _gradients(self, batch: Batch, scale: Scale) -> Sums:
        """Gradients of the whole batch's loss, summed over its micro-batches.

        Where the memory is not enough for one of them, all is done again with half as much at once. Raises SwarmError
        when it is not enough for a single completion.
        """
        while True:
            at_once = self.micro_completions or self._settings.micro_completions
            micro = spans(batch.owner, self._settings.micro_groups, at_once)
            self.optimizer.zero_grad(set_to_none=True)
            try:
                return self._pass(batch, micro, scale)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = first_line(error)
            self._shrink(micro, reason)  # not in the except block, where the error holds the failed pass

    def _shrink(self, micro: Sequence[range], reason: str) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        release()
        metrics.OUT_OF_MEMORY.inc()
        self.micro_completions = halved(micro)
        if not self.micro_completions:
            cause = f"the memory is not enough to learn from a single completion: {reason}"
            raise SwarmError(cause, "lower MAX_NEW_TOKENS, or choose a smaller model (MODEL_NAME)")
        log.warning("out of memory (%s): the round goes on with %d completions at once", reason, self.micro_completions)

    def _pass(self, batch: Batch, micro: Sequence[range], scale: Scale) -> Sums:
        sums = Sums()
        for rows in micro:
            self._add(batch.part(rows), scale, sums)
        return sums

    def _add(self, part: Batch, scale: Scale, sums: Sums) -> None:
        """One micro-batch, forward and backward."""
        settings = self._settings
        now, mask = self.log_probs(part)
        old = _old(now.detach(), part.old)
        gains = torch.tensor(part.advantages, device=now.device)
        reference = self._reference_log_probs(part)
        bounds = {"epsilon": settings.epsilon, "epsilon_high": settings.epsilon_high}
        kind, beta = settings.loss, settings.beta
        loss = grpo_loss(now, old, gains, mask, kind=kind, scale=scale, reference=reference, beta=beta, **bounds)
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            sums.loss += loss.detach()
            sums.clipped += binding(now, old, gains, mask, **bounds).sum()
            if reference is not None:
                sums.kl += (divergence(now, old, reference, mask) * mask).sum()
        sums.old += [row[: len(ids)].clone() for row, ids in zip(old, part.completions, strict=True)]

    def _step(self, sums: Sums, scale: Scale) -> Update | None:
        """One step of the optimizer; None, and none made, where loss or gradient are no finite numbers.

        Raises SwarmError where the memory is not enough: some weights may be changed then and others not.
        """
        norm = torch.nn.utils.clip_grad_norm_(self._policy.model.parameters(), self._settings.max_gradient_norm)
        loss, size = float(sums.loss), float(norm)
        if not (math.isfinite(loss) and math.isfinite(size)):
            return None
        before = self._movement.look()
        try:
            self.optimizer.step()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            cause = f"the memory is not enough for the optimizer's step: {first_line(error)}"
            raise SwarmError(cause, "choose a smaller model (MODEL_NAME)") from error
        shares = float(sums.clipped) / scale.tokens, float(sums.kl) / scale.tokens
        return Update(loss, size, *shares, changed=self._movement.since(before))

    @torch.no_grad()
    def _reference_log_probs(self, part: Batch) -> Tensor | None:
        if self._reference is None:
            return None
        return log_probs(self._policy, self._reference, part, self._temperature)[0]

    def _batch(self, groups: Sequence[Scored], step: int | None) -> Batch:
        completions = [self._tokens(group) for group in groups]
        return Batch(
            prompts=[self._policy.prompt(group.question.text) for group in groups],
            completions=[row for rows in completions for row in rows],
            owner=[index for index, rows in enumerate(completions) for _ in rows],
            advantages=batch_advantages([group.rewards for group in groups], self._settings.scale_rewards),
            old=[row for group in groups for row in self._noted(group, step)],
        )

    def _noted(self, group: Scored, step: int | None) -> Sequence[Tensor | None]:
        """Log-probabilities of an earlier policy that sampled the group; None where the present one stands for it."""
        if group.log_probs is None or step is None or group.step == step:
            return [None] * len(group.completions)
        return [torch.tensor(row, device=self._policy.device) for row in group.log_probs]

    def _tokens(self, group: Scored) -> list[list[int]]:
        """Ids of the group's completions, never empty, no longer than one sampled here could be."""
        if group.tokens is not None:
            return [list(row) for row in group.tokens]
        rows = [self._policy.encode(completion)[: self._max_length] for completion in group.completions]
        return [row or [self._policy.end_ids[0]] for row in rows]


def _old(now: Tensor, noted: Sequence[Tensor | None]) -> Tensor:
    """Log-probabilities of the old policy, (n, T): those noted, else those of now."""
    if not any(row is not None for row in noted):
        return now
    old = now.clone()
    for row, values in enumerate(noted):
        if values is not None:
            old[row, : len(values)] = values
    return old
