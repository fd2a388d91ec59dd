"""TRL's GRPOTrainer with its own generation; one optimizer step on one batch is a round."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from benchmarks.trainer_peers.task import Line, Stopwatch, Task, scorer


class Finished(Exception):
    """Nobody asks for more rounds."""


class Rounds(TrainerCallback):
    """Waits before each step until it is asked for, and tells behind it what it took."""

    def __init__(self, line: Line, watch: Stopwatch) -> None:
        self._line, self._watch = line, watch
        self._asked: Iterator[int] = line.asked()
        self.tokens = 0
        self._round: Any = None

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Wait."""
        if next(self._asked, None) is None:
            raise Finished
        self.tokens = 0
        self._round = self._watch.round()
        self._round.__enter__()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Tell."""
        self._round.__exit__(None, None, None)
        seconds = self._watch.seconds
        update_s = seconds["round_s"] - seconds["generation_s"]
        self._line.tell(**seconds, update_s=update_s, tokens=self.tokens)


def config_of(task: Task, folder: str, questions: int) -> GRPOConfig:
    """TRL's defaults, but for what makes the engines' work equal or only slows it down."""
    return GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=questions * task.completions,
        num_generations=task.completions,
        max_completion_length=task.max_new_tokens,
        temperature=task.temperature,
        learning_rate=task.learning_rate,
        lr_scheduler_type="constant",
        shuffle_dataset=False,
        bf16=task.dtype == "bfloat16",
        gradient_checkpointing=False,
        use_cpu=True,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def main() -> None:
    """Answer the line."""
    line, watch, task = Line(), Stopwatch(), Task.read(sys.argv[1])
    torch.set_num_threads(task.threads)
    rounds, score = task.questions(), scorer(task)
    asked = [question for questions in rounds for question in questions]
    callback = Rounds(line, watch)

    def reward(completions: Any, completion_ids: Any, number: Any, **_: Any) -> list[float | None]:
        callback.tokens += sum(map(len, completion_ids))
        texts = [completion[0]["content"] for completion in completions]
        return [score(asked[index], text) for index, text in zip(number, texts, strict=True)]

    prompts = [
        [{"role": "system", "content": task.system_prompt}, {"role": "user", "content": question["text"]}]
        for question in asked
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer: Any = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32),
            reward_funcs=reward,
            args=config_of(task, folder, len(rounds[0])),
            train_dataset=Dataset.from_dict({"prompt": prompts, "number": list(range(len(asked)))}),
            processing_class=AutoTokenizer.from_pretrained(task.model, padding_side="left"),
            callbacks=[callback],
        )
        trainer._generate = watch.around("generation_s", trainer._generate)
        try:
            trainer.train()
        except Finished:
            return


if __name__ == "__main__":
    main()
