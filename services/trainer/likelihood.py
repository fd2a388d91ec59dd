"""How likely a model finds the completions of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from services.trainer.batches import Batch
from services.trainer.padding import left_pad, positions, right_pad
from services.trainer.policy import Policy


def log_probs(policy: Policy, model: Any, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the completions' tokens at the sampling temperature, and their mask, both (n, T).

    `model` is the policy's, or one with the same tokenizer. Over the whole vocabulary, whatever top-k and top-p cut off
    when the tokens were drawn. Each prompt passes through the model once; its cache is handed, with its gradient, to
    all its completions.
    """
    device, pad = policy.device, policy.pad_id
    prompt_ids, prompt_mask = left_pad(batch.prompts, pad, device)
    ids, mask = right_pad(batch.completions, pad, device)
    owner = torch.tensor(batch.owner, device=device)
    with policy.autocast():
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
    scaled = logits.float() / temperature
    chosen = scaled.gather(2, ids[:, :, None])[:, :, 0]
    return chosen - scaled.logsumexp(2), mask.float()
