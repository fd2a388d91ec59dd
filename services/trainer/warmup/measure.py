"""Mean reward and format of sampled completions."""

from dataclasses import dataclass
from typing import Any

import torch
from reasoning_gym.utils import extract_answer
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from services.trainer.warmup.fit import prompt_ids
from services.trainer.warmup.tasks import score

MAX_NEW_TOKENS = 32


@dataclass(frozen=True)
class Measure:
    """What a model earns on a mix."""

    reward: float  # mean over all questions, 0 to 1
    format: float  # fraction of completions with an answer between the tags
    by_task: dict[str, float]  # mean reward of each kind of task


def complete(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, questions: list[str], temperature: float
) -> list[str]:
    """Return one completion a question, special tokens cut; temperature 0 means greedy."""
    rows = [prompt_ids(tokenizer, question) for question in questions]
    batch = tokenizer.pad({"input_ids": rows}, padding_side="left", return_tensors="pt")
    sampling: dict[str, Any] = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    model.train(False)
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=MAX_NEW_TOKENS, top_k=0, **sampling)  # type: ignore[misc]
    texts: list[str] = tokenizer.batch_decode(out[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return texts


def measure(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, mix: Any, seed: int, temperature: float = 1.0
) -> Measure:
    """Answer every question of the mix once; the seed is that of the sampling."""
    torch.manual_seed(seed)
    entries = list(mix)
    texts = complete(model, tokenizer, [entry["question"] for entry in entries], temperature)
    rewards = [score(mix, text, entry) for text, entry in zip(texts, entries, strict=True)]
    by_task: dict[str, list[float]] = {}
    for entry, reward in zip(entries, rewards, strict=True):
        by_task.setdefault(entry["metadata"]["source_dataset"], []).append(reward)
    return Measure(
        reward=sum(rewards) / len(rewards),
        format=sum(extract_answer(text, tag_name="answer") is not None for text in texts) / len(texts),
        by_task={task: sum(values) / len(values) for task, values in sorted(by_task.items())},
    )
