"""G completions of every question in one batch.

The prompt is read once for all its G completions (its cache is repeated, not recomputed), and a completion that has
ended leaves the batch.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from services.trainer.padding import left_pad, positions
from services.trainer.policy import Policy
from services.trainer.settings import GameSettings


def sample(
    policy: Policy, prompts: Sequence[Sequence[int]], game: GameSettings, generator: torch.Generator | None
) -> list[list[list[int]]]:
    """Sampled token ids, end token included: for each prompt, G lists of at most `max_new_tokens`.

    `generator` lives on the policy's device; None takes the likeliest token each time (and G = 1).
    """
    return sample_with_log_probs(policy, prompts, game, generator)[0]


@torch.inference_mode()
def sample_with_log_probs(
    policy: Policy, prompts: Sequence[Sequence[int]], game: GameSettings, generator: torch.Generator | None
) -> tuple[list[list[list[int]]], list[list[list[float]]]]:
    """Like `sample`, and the log-probability of each token under what it was drawn from, see `draw`."""
    policy.model.eval()
    copies = game.completions if generator is not None else 1
    ids, mask = left_pad(prompts, policy.pad_id, policy.device)
    with policy.autocast():
        out = policy.model(
            input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=True, logits_to_keep=1
        )
        out.past_key_values.batch_repeat_interleave(copies)
        out.logits = out.logits[:, -1].repeat_interleave(copies, 0)
        tokens, log_probs = _decode(policy, out, mask.repeat_interleave(copies, 0), game, generator)
    starts = range(0, len(tokens), copies)
    return [tokens[k : k + copies] for k in starts], [log_probs[k : k + copies] for k in starts]


def _decode(
    policy: Policy, out: Any, mask: Tensor, game: GameSettings, generator: torch.Generator | None
) -> tuple[list[list[int]], list[list[float]]]:
    """One token a pass for every completion that has not ended; their log-probabilities beside them."""
    cache, logits = out.past_key_values, out.logits
    ends = torch.tensor(policy.end_ids, device=policy.device)
    tokens: list[list[int]] = [[] for _ in range(len(logits))]
    log_probs: list[list[float]] = [[] for _ in range(len(logits))]
    rows = torch.arange(len(logits), device=policy.device)  # which completion each row of the batch is
    for left in range(game.max_new_tokens - 1, -1, -1):
        chosen, likely = draw(logits.float(), game, generator)
        for row, token, log_prob in zip(rows.tolist(), chosen.tolist(), likely.tolist(), strict=True):
            tokens[row].append(token)
            log_probs[row].append(log_prob)
        going = torch.isin(chosen, ends, invert=True).nonzero()[:, 0]
        if not left or not len(going):
            break
        if len(going) < len(rows):
            cache.batch_select_indices(going)
            rows, mask, chosen = rows[going], mask[going], chosen[going]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        step = policy.model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=mask.sum(1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        )
        cache, logits = step.past_key_values, step.logits[:, -1]
    return tokens, log_probs


@torch.inference_mode()
def stream(
    policy: Policy, prompt: Sequence[int], game: GameSettings, generator: torch.Generator | None
) -> Generator[int, None, None]:
    """One completion, token by token as it comes, end token included; see `sample`. To be used up in one thread."""
    policy.model.eval()
    ids, mask = left_pad([prompt], policy.pad_id, policy.device)
    places, cache = positions(mask), None
    with policy.autocast():
        for _ in range(game.max_new_tokens):
            out = policy.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen, _ = draw(out.logits[:, -1].float(), game, generator)
            yield (token := int(chosen.item()))
            if token in policy.end_ids:
                return
            ids, cache = chosen[:, None], out.past_key_values
            mask = torch.cat([mask, mask.new_ones(1, 1)], 1)
            places = mask.sum(1, keepdim=True) - 1


def draw(logits: Tensor, game: GameSettings, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """One token a row, (n,), from logits (n, V): temperature, then top-k, then top-p, then a draw.

    Beside it the log-probability, (n,) nats, in the distribution that was drawn from: what the cuts leave sums to 1.
    Without a generator the likeliest token, which is certain: 0.
    """
    if generator is None:
        return logits.argmax(-1), logits.new_zeros(len(logits))
    logits = logits / game.temperature
    if 0 < game.top_k < logits.shape[-1]:
        floor = logits.topk(game.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < floor, float("-inf"))
    if game.top_p < 1:
        ordered, order = logits.sort(descending=True)
        share = ordered.softmax(-1)
        beyond = share.cumsum(-1) - share >= game.top_p  # keeps the token that crosses the line
        logits = logits.masked_fill(beyond.scatter(1, order, beyond), float("-inf"))
    shares = logits.softmax(-1)
    chosen = torch.multinomial(shares, 1, generator=generator)
    return chosen[:, 0], shares.gather(1, chosen)[:, 0].log()
