"""How likely the model finds each of some answers to a question, from its logits: one small batch, one pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from services.trainer.forward.padding import left_pad, positions
from services.trainer.model.policy import Policy

ANSWER = "<answer>{}</answer>"


@torch.inference_mode()
def scores(policy: Policy, question: str, choices: Sequence[str]) -> list[float] | None:
    """Mean log-probability (nats) of each answer's tokens behind the question; None if the model cannot read so much.

    The mean, not the sum: a long answer is no worse than a short one for being long.
    """
    prompt = policy.prompt(question)
    answers = [_tokens(policy, choice) for choice in choices]
    longest = max(map(len, answers))
    reads = getattr(policy.model.config.get_text_config(), "max_position_embeddings", None)
    if reads is not None and len(prompt) + longest > reads:
        return None
    policy.model.eval()
    ids, mask = left_pad([[*prompt, *answer] for answer in answers], policy.pad_id, policy.device)
    with policy.autocast():
        told = policy.model(
            input_ids=ids, attention_mask=mask, position_ids=positions(mask), logits_to_keep=longest + 1
        ).logits
    # Rows end together: the logits before the last one foretell the last `longest` tokens.
    likely = told[:, :-1].float().log_softmax(-1).gather(2, ids[:, -longest:, None])[:, :, 0]
    return [float(row[-len(answer) :].mean()) for row, answer in zip(likely, answers, strict=True)]


def _tokens(policy: Policy, choice: str) -> list[int]:
    text = ANSWER.format(choice)
    return list(policy.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)
