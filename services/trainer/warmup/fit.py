"""Supervised fitting of the tiny model, on completions only."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from services.trainer.prompt import chat

Entry = dict[str, Any]
Teacher = Callable[[Entry, random.Random], str]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to fit."""

    steps: int
    learning_rate: float  # at its peak, after a tenth of the steps; then it falls linearly to zero
    batch: int  # questions per step


def new_model(tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """Return an untrained Qwen3 of about 0.6 million parameters."""
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            num_hidden_layers=3,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            intermediate_size=256,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def fit(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    entries: list[Entry],
    teacher: Teacher,
    plan: Plan,
    rng: random.Random,
) -> Iterator[float]:
    """Fit `teacher`'s completions of randomly drawn entries; yield the loss (nats a token) after each step."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    rise = max(1, plan.steps // 10)
    for step in range(plan.steps):
        scale = min((step + 1) / rise, (plan.steps - step) / (plan.steps - rise))
        for group in optimizer.param_groups:
            group["lr"] = plan.learning_rate * scale
        loss = _loss(model, *_batch(tokenizer, rng.choices(entries, k=plan.batch), teacher, rng))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss.item()


def prompt_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Return the tokens of the chat up to where the model has to go on."""
    ids = tokenizer.apply_chat_template(chat(question), add_generation_prompt=True, return_dict=False)
    assert isinstance(ids, list)
    return ids


def _batch(
    tokenizer: PreTrainedTokenizerBase, entries: list[Entry], teacher: Teacher, rng: random.Random
) -> tuple[Tensor, Tensor]:
    """Return token ids and a mask of the positions to learn, both [batch, length], padded on the right.

    Causal attention keeps the padding out of everything that is learnt, so that no attention mask is needed.
    """
    rows, masks = [], []
    for entry in entries:
        prompt = prompt_ids(tokenizer, entry["question"])
        answer = tokenizer.encode(teacher(entry, rng) + tokenizer.eos_token, add_special_tokens=False)
        rows.append(torch.tensor(prompt + answer))
        masks.append(torch.tensor([False] * len(prompt) + [True] * len(answer)))
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(rows, batch_first=True, padding_value=tokenizer.pad_token_id), pad(masks, batch_first=True)


def _loss(model: Qwen3ForCausalLM, ids: Tensor, learn: Tensor) -> Tensor:
    """Return the mean cross-entropy of the marked tokens; logits are made for those only, which halves the time."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    return functional.cross_entropy(model.lm_head(hidden[learn[:, 1:]]), ids[:, 1:][learn[:, 1:]])
