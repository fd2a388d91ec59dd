"""G completions of every question in one batch.

The prompt is read once for all its G completions (its cache is repeated, not recomputed), and completions that have
ended leave the batch. What is drawn depends on the generator, the row and the place alone, not on how rows are batched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Any

import torch
from torch import Tensor

from services.trainer import metrics
from services.trainer.forward.decoder import Decoder
from services.trainer.forward.decoding import Cache
from services.trainer.forward.padding import left_pad, positions
from services.trainer.model.out_of_memory import first_line, is_out_of_memory, release
from services.trainer.model.policy import Policy
from services.trainer.settings import GameSettings
from shared.errors import SwarmError

log = logging.getLogger(__name__)

Prompts = Sequence[Sequence[int]]
# The logits (n, V) behind one token more: the tokens chosen last, (n,), of the rows of the batch that go on; which of
# the rows so far those are, None: all.
Advance = Callable[[Tensor, Tensor | None], Tensor]
FEWER = 0.75  # of the rows still going: only then are the others taken out, which copies the cache


def sample(
    policy: Policy, prompts: Prompts, game: GameSettings, generator: torch.Generator | None
) -> list[list[list[int]]]:
    """Sampled token ids, end token included: for each prompt, G lists of at most `max_new_tokens`.

    `generator` lives on the policy's device; None takes the likeliest token each time (and G = 1).
    """
    return sample_with_log_probs(policy, prompts, game, generator)[0]


@torch.inference_mode()
def sample_with_log_probs(
    policy: Policy, prompts: Prompts, game: GameSettings, generator: torch.Generator | None
) -> tuple[list[list[list[int]]], list[list[list[float]]]]:
    """Like `sample`, and the log-probability of each token under what it was drawn from, see `draw`.

    Where the memory is not enough for all prompts, half as many are read at once. Raises SwarmError when it is not
    enough for a single one.
    """
    policy.model.eval()
    copies, longest = game.completions if generator is not None else 1, game.max_new_tokens
    shape = (len(prompts) * copies, longest)
    chances = None if generator is None else torch.rand(shape, generator=generator, device=policy.device)
    while True:
        at_once = min(policy.prompts_at_once or len(prompts), len(prompts))
        try:
            parts = [
                _sample(policy, prompts[k : k + at_once], game, copies, _rows(chances, k, at_once, copies))
                for k in range(0, len(prompts), at_once)
            ]
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = first_line(error)
        _shrink(policy, at_once, reason)  # not in the except block, where the error holds the failed pass
    tokens = [row for part, _ in parts for row in part]
    log_probs = [row for _, part in parts for row in part]
    starts = range(0, len(tokens), copies)
    return [tokens[k : k + copies] for k in starts], [log_probs[k : k + copies] for k in starts]


def _rows(chances: Tensor | None, first: int, count: int, copies: int) -> Tensor | None:
    """What is drawn for so many prompts."""
    return None if chances is None else chances[first * copies : (first + count) * copies]


def _shrink(policy: Policy, tried: int, reason: str) -> None:
    release()
    metrics.OUT_OF_MEMORY.inc()
    policy.prompts_at_once = tried // 2
    if not policy.prompts_at_once:
        cause = f"the memory is not enough to answer a single question: {reason}"
        raise SwarmError(cause, "lower NUM_GENERATIONS or MAX_NEW_TOKENS, or choose a smaller model (MODEL_NAME)")
    log.warning("out of memory (%s): sampling goes on with %d questions at once", reason, policy.prompts_at_once)


def _sample(
    policy: Policy, prompts: Prompts, game: GameSettings, copies: int, chances: Tensor | None
) -> tuple[list[list[int]], list[list[float]]]:
    """Tokens and their log-probabilities of every completion, one batch."""
    decoder = Decoder.of(policy.model)
    with policy.autocast(sampling=decoder is not None):
        if decoder is None:
            logits, advance = _padded(policy, prompts, copies)
        else:
            decoder = decoder.to(torch.bfloat16) if policy.samples_reduced else decoder
            cache = Cache(decoder, prompts, copies, game.max_new_tokens, policy.device)
            logits, advance = cache.logits, cache.advance
        return _decode(policy, logits, advance, game, chances)


def _padded(policy: Policy, prompts: Prompts, copies: int) -> tuple[Tensor, Advance]:
    """The model's own forward and cache."""
    ids, mask = left_pad(prompts, policy.pad_id, policy.device)
    out = policy.model(
        input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=True, logits_to_keep=1
    )
    cache, mask = out.past_key_values, mask.repeat_interleave(copies, 0)
    cache.batch_repeat_interleave(copies)

    def advance(chosen: Tensor, going: Tensor | None) -> Tensor:
        nonlocal mask
        if going is not None:
            cache.batch_select_indices(going)
            mask = mask[going]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        logits: Tensor = policy.model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=mask.sum(1, keepdim=True) - 1,
            past_key_values=cache,
            use_cache=True,
        ).logits
        return logits[:, -1]

    return out.logits[:, -1].repeat_interleave(copies, 0), advance


def _decode(
    policy: Policy, logits: Tensor, advance: Advance, game: GameSettings, chances: Tensor | None
) -> tuple[list[list[int]], list[list[float]]]:
    """One token a pass for every completion that has not ended; their log-probabilities beside them."""
    ends = torch.tensor(policy.end_ids, device=policy.device)
    shape, longest = (len(logits), game.max_new_tokens), game.max_new_tokens
    tokens = torch.full(shape, int(ends[0]), device=policy.device)
    log_probs = torch.zeros(shape, device=policy.device)
    lengths = torch.full(shape[:1], longest, device=policy.device)
    rows = torch.arange(len(logits), device=policy.device)  # which completion each row of the batch is
    for place in range(longest):
        chosen, likely = draw(logits.float(), game, None if chances is None else chances[rows, place])
        tokens[rows, place], log_probs[rows, place] = chosen, likely
        ended = torch.isin(chosen, ends)
        lengths[rows[ended]] = lengths[rows[ended]].clamp(max=place + 1)
        going = (lengths[rows] == longest).nonzero()[:, 0]
        if place == longest - 1 or not len(going):
            break
        fewer = len(going) <= FEWER * len(rows)
        if fewer:
            rows, chosen = rows[going], chosen[going]
        logits = advance(chosen, going if fewer else None)
    return _cut(tokens, lengths), _cut(log_probs, lengths)


def _cut(table: Tensor, lengths: Tensor) -> list[Any]:
    return [row[:length] for row, length in zip(table.tolist(), lengths.tolist(), strict=True)]


@torch.inference_mode()
def stream(
    policy: Policy, prompt: Sequence[int], game: GameSettings, generator: torch.Generator | None
) -> Generator[int, None, None]:
    """One completion, token by token as it comes, end token included; see `sample`. To be used up in one thread."""
    policy.model.eval()
    ids, mask = left_pad([prompt], policy.pad_id, policy.device)
    places, cache = positions(mask), None
    chances = None if generator is None else torch.rand(game.max_new_tokens, generator=generator, device=policy.device)
    with policy.autocast():
        for place in range(game.max_new_tokens):
            out = policy.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            chosen, _ = draw(out.logits[:, -1].float(), game, None if chances is None else chances[place : place + 1])
            yield (token := int(chosen.item()))
            if token in policy.end_ids:
                return
            ids, cache = chosen[:, None], out.past_key_values
            mask = torch.cat([mask, mask.new_ones(1, 1)], 1)
            places = mask.sum(1, keepdim=True) - 1


def draw(logits: Tensor, game: GameSettings, chances: Tensor | None) -> tuple[Tensor, Tensor]:
    """One token a row, (n,), from logits (n, V): temperature, then top-k, then top-p, then what `chances` picks.

    `chances`: (n,), uniform in [0, 1): the token at which the cumulated probability first exceeds it. None takes the
    likeliest token, which is certain. Beside it the log-probability, (n,) nats, in the distribution that was drawn
    from: what the cuts leave sums to 1.
    """
    if chances is None:
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
    reached = shares.cumsum(-1, dtype=torch.float64)  # in float32 the tail of a large vocabulary would be lost
    chosen = torch.searchsorted(reached, chances[:, None].double() * reached[:, -1:], right=True)
    return chosen[:, 0], shares.gather(1, chosen)[:, 0].log()
