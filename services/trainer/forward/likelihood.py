"""How likely a model finds the completions of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from services.trainer.forward.decoder import Decoder
from services.trainer.forward.packing import Pack
from services.trainer.forward.padding import left_pad, positions, right_pad
from services.trainer.learning.batches import Batch
from services.trainer.model.footprint import MOST
from services.trainer.model.policy import Policy


def log_probs(
    policy: Policy, model: Any, batch: Batch, temperature: float, *, recompute: bool = False
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the completions' tokens at the sampling temperature, and their mask, both (n, T).

    `model` is the policy's, or one with the same tokenizer. Over the whole vocabulary, whatever top-k and top-p cut off
    when the tokens were drawn. Each prompt passes through the model once, for all its completions. `recompute`: see
    `Decoder.hidden`; the plain way keeps everything.
    """
    decoder = Decoder.of(model)
    if decoder is None:
        return padded_log_probs(policy, model, batch, temperature)
    return packed_log_probs(policy, decoder, batch, temperature, recompute=recompute)


def packed_log_probs(
    policy: Policy, decoder: Decoder, batch: Batch, temperature: float, *, recompute: bool = False
) -> tuple[Tensor, Tensor]:
    """See `log_probs`: all tokens in one pass, in a row without padding."""
    device, lengths = policy.device, list(map(len, batch.completions))
    pack = Pack(batch.prompts, [row[:-1] for row in batch.completions], batch.owner, device)
    wanted = torch.tensor([token for row in batch.completions for token in row], device=device)
    ids, mask = right_pad(batch.completions, policy.pad_id, device)
    before = torch.zeros_like(ids)  # where the token stands that each completion's token follows
    before[:, 0] = pack.ends[torch.tensor(batch.owner, device=device)]
    before[:, 1:] = pack.completions.slots
    real = mask.bool()
    with policy.autocast():
        hidden = decoder.hidden(pack.ids, decoder.turn(pack.places), pack.attend, recompute=recompute)
        found = _of_tokens(decoder, hidden.index_select(0, before[real]), wanted, temperature)
    assert len(found) == sum(lengths)
    return torch.zeros_like(ids, dtype=found.dtype).masked_scatter(real, found), mask.float()


def padded_log_probs(policy: Policy, model: Any, batch: Batch, temperature: float) -> tuple[Tensor, Tensor]:
    """See `log_probs`: by the model's own forward. A prompt's cache is handed on with its gradient."""
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
    return _chosen(logits, ids, temperature), mask.float()


def _of_tokens(decoder: Decoder, hidden: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (m,) of m tokens from what the last layer says before each, (m, H)."""

    def piece(some: Tensor, tokens: Tensor) -> Tensor:
        return _chosen(decoder.logits(some), tokens, temperature)

    size = max(1, MOST // decoder.vocabulary)
    if len(hidden) <= size:
        return piece(hidden, wanted)
    pairs = zip(torch.split(hidden, size), torch.split(wanted, size), strict=True)
    return torch.cat([checkpoint(piece, some, tokens, use_reentrant=False) for some, tokens in pairs])


def _chosen(logits: Tensor, tokens: Tensor, temperature: float) -> Tensor:
    """Log-probabilities of tokens (...) under logits (..., V)."""
    scaled = logits.float() / temperature
    return scaled.gather(-1, tokens[..., None])[..., 0] - scaled.logsumexp(-1)
