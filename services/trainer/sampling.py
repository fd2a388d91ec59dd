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


@torch.inference_mode()
def sample(
    policy: Policy, prompts: Sequence[Sequence[int]], game: GameSettings, generator: torch.Generator | None
) -> list[list[list[int]]]:
    """Sampled token ids, end token included: for each prompt, G lists of at most `max_new_tokens`.

    `generator` lives on the policy's device; None takes the likeliest token each time (and G = 1).
    """
    policy.model.eval()
    copies = game.completions if generator is not None else 1
    ids, mask = left_pad(prompts, policy.pad_id, policy.device)
    with policy.autocast():
        out = policy.model(
            input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=True, logits_to_keep=1
        )
        out.past_key_values.batch_repeat_interleave(copies)
        out.logits = out.logits[:, -1].repeat_interleave(copies, 0)
        flat = _decode(policy, out, mask.repeat_interleave(copies, 0), game, generator)
    return [flat[start : start + copies] for start in range(0, len(flat), copies)]


def _decode(
    policy: Policy, out: Any, mask: Tensor, game: GameSettings, generator: torch.Generator | None
) -> list[list[int]]:
    """One token a pass for every completion that has not ended."""
    cache, logits = out.past_key_values, out.logits
    ends = torch.tensor(policy.end_ids, device=policy.device)
    tokens: list[list[int]] = [[] for _ in range(len(logits))]
    rows = torch.arange(len(logits), device=policy.device)  # which completion each row of the batch is
    for left in range(game.max_new_tokens - 1, -1, -1):
        chosen = draw(logits.float(), game, generator)
        for row, token in zip(rows.tolist(), chosen.tolist(), strict=True):
            tokens[row].append(token)
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
    return tokens


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
            chosen = draw(out.logits[:, -1].float(), game, generator)
            yield (token := int(chosen.item()))
            if token in policy.end_ids:
                return
            ids, cache = chosen[:, None], out.past_key_values
            mask = torch.cat([mask, mask.new_ones(1, 1)], 1)
            places = mask.sum(1, keepdim=True) - 1


def draw(logits: Tensor, game: GameSettings, generator: torch.Generator | None) -> Tensor:
    """One token a row, (n,), from logits (n, V): temperature, then top-k, then top-p, then a draw."""
    if generator is None:
        return logits.argmax(-1)
    logits = logits / game.temperature
    if 0 < game.top_k < logits.shape[-1]:
        floor = logits.topk(game.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < floor, float("-inf"))
    if game.top_p < 1:
        ordered, order = logits.sort(descending=True)
        share = ordered.softmax(-1)
        beyond = share.cumsum(-1) - share >= game.top_p  # keeps the token that crosses the line
        logits = logits.masked_fill(beyond.scatter(1, order, beyond), float("-inf"))
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
