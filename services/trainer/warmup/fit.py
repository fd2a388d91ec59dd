"""Supervised fitting of the tiny model, on completions only."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM

from services.trainer.model.prompt import chat
from services.trainer.warmup.tasks import Entry, Teacher


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
    *,
    plan: Plan,
    rng: random.Random,
) -> Iterator[float]:
    """Fit `teacher`'s completions of randomly drawn entries; yield the loss (nats a token) after each step."""
    model.train()
    optimizers = _optimizers(model)
    rise = max(1, plan.steps // 10)
    for step in range(plan.steps):
        scale = min((step + 1) / rise, (plan.steps - step) / (plan.steps - rise))
        loss = _loss(model, *_batch(tokenizer, rng.choices(entries, k=plan.batch), teacher, rng))
        torch.autograd.backward(loss)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = plan.learning_rate * scale
            optimizer.step()
        model.zero_grad(set_to_none=True)
        yield loss.item()


def _optimizers(model: Qwen3ForCausalLM) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices, which learns arithmetic in far fewer steps, and AdamW for the rest."""
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    rest = [weight for name, weight in model.named_parameters() if weight.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(matrices, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [muon, torch.optim.AdamW(rest, weight_decay=0.01, betas=(0.9, 0.98))]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Return the tokens of the chat up to where the model has to go on."""
    text = tokenizer.apply_chat_template(chat(question), add_generation_prompt=True, tokenize=False)
    ids: list[int] = tokenizer.encode(str(text), add_special_tokens=False)
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
    """Return the mean cross-entropy of the marked tokens; only those get logits, which saves time."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    return functional.cross_entropy(model.lm_head(hidden[learn[:, 1:]]), ids[:, 1:][learn[:, 1:]])
