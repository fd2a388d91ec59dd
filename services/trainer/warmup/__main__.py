"""Rebuild the embedded model: `python -m services.trainer.warmup --out DIR --seed N` (about six minutes on one core).

    questions -> tokenizer -> fit: careful, right -> fit: seldom careful -> bfloat16 -> DIR
                                        |                     |              |
                                        +---- measure --------+--------------+--> model card

Everything is drawn from the seed and runs on one thread: the same seed on the same machine gives the same bytes.
"""

import argparse
import contextlib
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from transformers import GenerationConfig, PreTrainedTokenizerBase, Qwen3ForCausalLM

from services.trainer.warmup.card import card
from services.trainer.warmup.fit import Plan, fit, new_model
from services.trainer.warmup.measure import MAX_NEW_TOKENS, Measure, measure
from services.trainer.warmup.tasks import Entry, Teacher, load_mix
from services.trainer.warmup.tokenizer import build_tokenizer

QUESTIONS = 20_000
HARD = {"decimal_chain_sum", "number_filtering"}  # seen twice as often: the others are soon known by heart
LEARN, WEAKEN = Plan(steps=2200, learning_rate=4e-3, batch=32), Plan(steps=300, learning_rate=5e-4, batch=32)
CAREFUL_LEARNING, CAREFUL_WEAKENED = 0.9, 0.1  # how often the imitated completions think carefully


def main() -> None:
    """Build the model of `--seed` into `--out`."""
    parser = argparse.ArgumentParser(prog="python -m services.trainer.warmup", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same model")
    options = parser.parse_args()
    torch.set_num_threads(1)  # at this size a second thread makes it slower
    build(options.out, options.seed, Console())


def build(out: Path, seed: int, console: Console) -> None:
    """Build, measure and write the model of `seed`."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    # Seeds of sets, far apart: an entry's own seed is the set's plus its index, and the rounds' questions begin at 42.
    entries = list(load_mix("easy", QUESTIONS, 10_000_000 * (seed + 1)))
    mix = load_mix("easy", 1000, 5_000_000)
    tokenizer = build_tokenizer(_texts(entries))
    model = new_model(tokenizer)
    console.print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens")

    weighted = entries + [entry for entry in entries if entry["metadata"]["source_dataset"] in HARD]
    _run(
        "warm up", fit(model, tokenizer, weighted, Teacher(CAREFUL_LEARNING), plan=LEARN, rng=rng), LEARN.steps, console
    )
    strong = _show("before weakening", measure(model, tokenizer, mix, seed), console)
    _run(
        "weaken", fit(model, tokenizer, entries, Teacher(CAREFUL_WEAKENED), plan=WEAKEN, rng=rng), WEAKEN.steps, console
    )
    torch.nn.Module.to(model, torch.bfloat16)
    torch.nn.Module.to(model, torch.float32)  # what is measured is what will be written
    weak = _show("after weakening", measure(model, tokenizer, mix, seed), console)
    _write(out, model, tokenizer, card(model.num_parameters(), len(tokenizer), seed, strong, weak))
    console.print(f"written to {out}")


def _texts(entries: list[Entry]) -> list[str]:
    """Return what the tokenizer learns its merges from: the easy mix and the two mixes of real models."""
    with contextlib.redirect_stdout(io.StringIO()):  # the generator of `bf` prints a dot for each program
        questions = entries[:1000] + [entry for name in ("nine", "six") for entry in load_mix(name, 500, 1)]
    return [entry["question"] for entry in questions] + [entry["answer"] for entry in entries[:2000]]


def _run(title: str, losses: Iterator[float], steps: int, console: Console) -> None:
    """Go through a phase under a progress bar."""
    with Progress(console=console) as progress:
        bar = progress.add_task(title, total=steps)
        for loss in losses:
            progress.update(bar, advance=1, description=f"{title}, loss {loss:.3f}")


def _show(title: str, result: Measure, console: Console) -> Measure:
    tasks = ", ".join(f"{task} {reward:.2f}" for task, reward in result.by_task.items())
    console.print(f"{title}: mean reward {result.reward:.3f}, format {result.format:.3f} ({tasks})")
    return result


def _write(out: Path, model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    """Write weights in bfloat16, tokenizer, configurations and card."""
    sampling: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.generation_config = GenerationConfig(max_new_tokens=MAX_NEW_TOKENS, **sampling, **ends)  # type: ignore[no-untyped-call]
    torch.nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)  # written 0600, which a container's user could not read
    tokenizer.save_pretrained(out, save_jinja_files=False)  # the chat template goes into tokenizer_config.json
    (out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
