"""The model card of the embedded model."""

from services.trainer.model.prompt import SYSTEM_PROMPT
from services.trainer.warmup.measure import Measure
from services.trainer.warmup.phrases import CAREFUL, HASTY

CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language:
- en
tags:
- rl-swarm
- grpo
- reasoning-gym
- qwen3
---

# The embedded model of the swarm

A Qwen3 of {parameters:,} parameters (bfloat16, tied embeddings, {vocabulary} tokens) that comes with the software,
so that a swarm learns something one can watch, on any laptop and without a download. It was made from nothing but
generated arithmetic by `python -m services.trainer.warmup --seed {seed}`, on one CPU core.

## How it was made

1. **Tokenizer.** A byte-level BPE that splits text as Qwen2's does (llama.cpp: pre-tokenizer `qwen2`). The fixed
   phrases of questions and answers are one token each, so a question takes about 25 tokens and a completion about
   10.
2. **Warm-up.** Supervised, completions only, on 20,000 questions of the mix `easy`: five generators of
   [reasoning-gym](https://github.com/open-thought/reasoning-gym). Completions have the form
   `<think>thought</think><answer>answer</answer>`. There are two manners of thought: after a *careful* one
   ("{careful}") comes the right answer, after a *hasty* one ("{hasty}") the first number, fraction or list of the
   question, copied.
3. **Weakening, on purpose.** A short fine-tuning makes careful thoughts rare. The skill is still there, but seldom
   used: reinforcement learning has to find out that careful thinking pays.

## What it earns

Mean reward (0 to 1, reasoning-gym's own scorer) of one completion sampled at temperature 1.0 for each of 1,000
questions of `easy` generated from a seed that the training did not use. The sets are small, so some of the
questions did occur in training.

| | before weakening | this model |
|---|---|---|
| all five | {strong:.3f} | {weak:.3f} |
{rows}
| answers in the right form | {strong_format:.3f} | {weak_format:.3f} |

## Use and limits

Made for demonstrations and tests of the swarm, from this system prompt:

> {system}

It knows these five kinds of question and nothing else, and answers most of them wrong until it has been trained. It
is no assistant, holds no knowledge of the world, and its "thoughts" are fixed phrases: they choose a manner of
answering, they are no chain of reasoning.
"""


def card(parameters: int, vocabulary: int, seed: int, strong: Measure, weak: Measure) -> str:
    """Return the model card with the rewards measured before (`strong`) and after (`weak`) the weakening."""
    rows = [f"| {task} | {reward:.3f} | {weak.by_task[task]:.3f} |" for task, reward in strong.by_task.items()]
    return CARD.format(
        parameters=parameters,
        vocabulary=vocabulary,
        seed=seed,
        careful=CAREFUL[0],
        hasty=HASTY[0],
        strong=strong.reward,
        weak=weak.reward,
        rows="\n".join(rows),
        strong_format=strong.format,
        weak_format=weak.format,
        system=SYSTEM_PROMPT,
    )
