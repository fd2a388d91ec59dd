"""One GRPO update on a mixed batch of groups.

Local completions keep the token ids they were sampled as; peers' are tokenized from text. For both, the policy at the
start of the update stands for the one that sampled: for local ones it is that policy, and a peer's log-probabilities
are neither sent nor to be trusted (SAPO treats external rollouts as if sampled here). The ratio is therefore 1 at the
first iteration, and clipping binds from the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.trainer.advantages import advantages
from services.trainer.loss import Scale, grpo_loss
from services.trainer.padding import left_pad, positions, right_pad
from services.trainer.policy import Policy
from services.trainer.rollout import Scored
from services.trainer.settings import LearnerSettings


@dataclass(frozen=True)
class Update:
    """What an update did."""

    loss: float
    gradient_norm: float  # before clipping


@dataclass(frozen=True)
class Batch:
    """Groups as token ids, ready for the model: g prompts, n completions in all."""

    prompts: list[list[int]]
    completions: list[list[int]]
    owner: list[int]  # which prompt each completion answers
    advantages: list[float]  # of each completion


class Learner:
    """The policy's optimizer."""

    def __init__(self, policy: Policy, settings: LearnerSettings, *, temperature: float, max_new_tokens: int) -> None:
        self._policy, self._settings = policy, settings
        self._temperature, self._max_length = temperature, max_new_tokens
        self.optimizer = torch.optim.AdamW(
            policy.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def update(self, groups: Sequence[Scored]) -> Update:
        """Learn from the groups; their loss before the (last) step."""
        parts = _split(groups, self._settings.micro_groups)
        batches = [self._batch(part) for part in parts]
        lengths = [len(row) for batch in batches for row in batch.completions]
        scale = Scale(len(lengths), sum(lengths), self._max_length)
        self._policy.model.train()
        if self._settings.iterations == 1:
            old: list[Tensor | None] = [None] * len(batches)  # the log-probs of the one iteration are the old ones
        else:
            with torch.no_grad():
                old = [self.log_probs(batch)[0] for batch in batches]
        for _ in range(self._settings.iterations):
            done = self._step(batches, old, scale)
        return done

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the completions' tokens at the sampling temperature, and their mask, both (n, T).

        Each prompt passes through the model once; its cache is handed, with its gradient, to all its completions.
        """
        model, device, pad = self._policy.model, self._policy.device, self._policy.pad_id
        prompt_ids, prompt_mask = left_pad(batch.prompts, pad, device)
        ids, mask = right_pad(batch.completions, pad, device)
        owner = torch.tensor(batch.owner, device=device)
        with self._policy.autocast():
            first = model(
                input_ids=prompt_ids,
                attention_mask=prompt_mask,
                position_ids=positions(prompt_mask),
                use_cache=True,
                logits_to_keep=1,
            )
            logits = first.logits[owner, -1:]
            if ids.shape[1] > 1:
                first.past_key_values.batch_select_indices(owner)
                whole_mask = torch.cat([prompt_mask[owner], mask], 1)
                rest = model(
                    input_ids=ids[:, :-1],
                    attention_mask=whole_mask[:, :-1],
                    position_ids=positions(whole_mask)[:, prompt_ids.shape[1] : -1],
                    past_key_values=first.past_key_values,
                    use_cache=True,
                )
                logits = torch.cat([logits, rest.logits], 1)
        scaled = logits.float() / self._temperature
        chosen = scaled.gather(2, ids[:, :, None])[:, :, 0]
        return chosen - scaled.logsumexp(2), mask.float()

    def _step(self, batches: Sequence[Batch], old: Sequence[Tensor | None], scale: Scale) -> Update:
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for batch, before in zip(batches, old, strict=True):
            now, mask = self.log_probs(batch)
            loss = grpo_loss(
                now,
                now.detach() if before is None else before,
                torch.tensor(batch.advantages, device=now.device),
                mask,
                kind=self._settings.loss,
                epsilon=self._settings.epsilon,
                epsilon_high=self._settings.epsilon_high,
                scale=scale,
            )
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self._policy.model.parameters(), self._settings.max_gradient_norm)
        self.optimizer.step()
        return Update(total, float(norm))

    def _batch(self, groups: Sequence[Scored]) -> Batch:
        completions = [self._tokens(group) for group in groups]
        return Batch(
            prompts=[self._policy.prompt(group.question.text) for group in groups],
            completions=[row for rows in completions for row in rows],
            owner=[index for index, rows in enumerate(completions) for _ in rows],
            advantages=[a for g in groups for a in advantages(g.rewards, scale=self._settings.scale_rewards)],
        )

    def _tokens(self, group: Scored) -> list[list[int]]:
        """Ids of the group's completions, never empty, no longer than one sampled here could be."""
        if group.tokens is not None:
            return [list(row) for row in group.tokens]
        rows = [self._policy.encode(completion)[: self._max_length] for completion in group.completions]
        return [row or [self._policy.end_ids[0]] for row in rows]


def _split(groups: Sequence[Scored], size: int) -> list[Sequence[Scored]]:
    return [groups[start : start + size] for start in range(0, len(groups), size)] if size else [groups]
