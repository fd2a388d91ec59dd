"""What the published model itself answers: by which its GGUF files are measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

SMALL = 50_000_000  # parameters below which threads wait for each other longer than they work
ANSWER = 48  # tokens of an answer at most
QUESTIONS = (
    "Calculate 3 * 7.",
    "Calculate 8 - 5.",
    "State the final answer to the following arithmetic problem: 4.8 + 1.7 =",
    "Find the Least Common Multiple (LCM) of these numbers: 6, 10",
    "Simplify the fraction 12/18 to its lowest terms.",
    "Keep all numbers smaller than 52 in this list: ['59', '37', '62']",
    "If all cats are animals and Tom is a cat, is Tom an animal?\n\nAnswer yes or no.",
    "A train leaves at 09:45 and takes 2 hours 30 minutes. When does it arrive?",
)

Logits = NDArray[np.float32]
"""One row for each token of an answer, one column for each token of the vocabulary."""


@dataclass(frozen=True)
class Reference:
    """One prompt, and the model's greedy answer to it."""

    text: str  # the prompt, markers of the chat included
    prompt: list[int]
    answer: list[int]
    logits: Logits


def references(folder: Path, system_prompt: str) -> list[Reference]:
    """The model's answers to all questions, computed in float32. Raises OSError, ValueError."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    if model.num_parameters() < SMALL:
        torch.set_num_threads(1)
    return [_answered(model, tokenizer, prompt_text(tokenizer, system_prompt, one)) for one in QUESTIONS]


def prompt_text(tokenizer: Any, system: str, user: str) -> str:
    """A chat of two turns as the model is asked, as text; without a template, the turns alone."""
    if tokenizer.chat_template is None:
        return "\n\n".join([system, user, ""])
    chat = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return str(tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))


def ollama_template(folder: Path) -> str:
    """The chat template in Ollama's words: the model's own, filled with them."""
    return prompt_text(AutoTokenizer.from_pretrained(folder), "{{ .System }}", "{{ .Prompt }}")


@torch.inference_mode()
def _answered(model: Any, tokenizer: Any, text: str) -> Reference:
    prompt = list(tokenizer(text, add_special_tokens=False).input_ids)
    ends = set(_ends(model, tokenizer))
    rows, tokens, past = list[Logits](), list[int](), None
    fed = prompt
    while len(tokens) < ANSWER and not (tokens and tokens[-1] in ends):
        done = model(input_ids=torch.tensor([fed]), past_key_values=past, use_cache=True)
        row, past = done.logits[0, -1].float().numpy(), done.past_key_values
        rows.append(row)
        tokens.append(int(row.argmax()))
        fed = tokens[-1:]
    return Reference(text, prompt, tokens, np.stack(rows))


def _ends(model: Any, tokenizer: Any) -> list[int]:
    told = model.generation_config.eos_token_id
    return [one for one in [tokenizer.eos_token_id, *(told if isinstance(told, list) else [told])] if one is not None]
