"""`python -m services.publisher.llama.probe FILE IN OUT`: what llama.cpp makes of a GGUF file, in a process of its own.

IN (JSON): the prompts' texts and tokens, the answers' tokens. OUT (npz): its own tokens of each text, its logits for
each token of each answer, its own greedy answer. Where llama.cpp aborts, only this process ends.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from llama_cpp import Llama


def probe(file: Path, prompts: list[dict[str, Any]]) -> dict[str, Any]:
    """Arrays by name: `logits_<n>`, `split_<n>`, `greedy_<n>`."""
    room = max(len(one["prompt"]) + len(one["answer"]) for one in prompts) + 8
    llama = Llama(str(file), n_ctx=room, n_batch=room, n_threads=1, logits_all=True, verbose=False)
    found: dict[str, Any] = {}
    for number, one in enumerate(prompts):
        prompt, answer = one["prompt"], one["answer"]
        found[f"split_{number}"] = llama.tokenize(one["text"].encode(), add_bos=False, special=True)
        llama.reset()
        llama.eval([*prompt, *answer[:-1]])
        found[f"logits_{number}"] = np.array(llama.scores[len(prompt) - 1 : len(prompt) + len(answer) - 1])
        found[f"greedy_{number}"] = greedy(llama, prompt, len(answer))
    return found


def greedy(llama: Any, prompt: list[int], count: int) -> list[int]:
    """The likeliest token, again and again."""
    llama.reset()
    llama.eval(prompt)
    tokens = list[int]()
    while len(tokens) < count:
        tokens.append(int(np.argmax(llama.scores[llama.n_tokens - 1])))
        llama.eval(tokens[-1:])
    return tokens


if __name__ == "__main__":
    source, asked, out = map(Path, sys.argv[1:])
    np.savez(out, **probe(source, json.loads(asked.read_text())))
