"""How many rounds a minute the trainer plays, beside GenRL and TRL: generation, scoring and one update each.

    python -m benchmarks.trainer            # everything, under 25 minutes
    python -m benchmarks.trainer --smoke    # a few rounds of ours alone

The same model, questions, number of completions and limit of tokens for all, float32 weights, on the CPU. Every engine
is a process of its own and is tried with one thread and with two; the faster takes part. On the small model the
engines' rounds alternate, so that what else the machine does meets them all; the large one fits into memory only once,
so there one engine runs after the other, a round each: one of GenRL takes minutes. On the small model GenRL takes
part twice: with its default minibatch of 2, and with the best of those tried. Writes `benchmarks/results/trainer.json`,
`trainer.svg` and the table in `docs/speed.md`.

    rounds_per_minute, round_s, generation_s, update_s   medians; scoring is in the round alone
    cpu_s          processor seconds of a round, all threads, median: what the round took of a machine that others use
    peak_rss_mib   the kernel's high-water mark of the whole process (VmHWM)
    tokens         sampled in a round, median
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.trainer_peers import material
from benchmarks.trainer_peers.environment import CACHE, Missing, python_of
from benchmarks.trainer_peers.race import PATIENCE_S, Entry, Score, fastest, race
from benchmarks.trainer_peers.shown import DOCUMENT, RESULTS, document, plot
from benchmarks.trainer_peers.task import Task
from services.trainer.model.prompt import SYSTEM_PROMPT

ENGINES = ("ours", "genrl", "trl")
SHOWN = (
    "setting",
    "engine",
    "minibatch",
    "threads",
    "rounds_per_minute",
    "generation_s",
    "update_s",
    "cpu_s",
    "peak_rss_mib",
)
console = Console()


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    name: str
    model: Callable[[Path], Path]  # writes the model into a folder
    mix: str  # config/data
    questions: int
    completions: int  # G
    max_new_tokens: int
    learning_rate: float
    verifier: bool  # False: a model with random weights answers nothing
    minibatches: tuple[int, ...]  # GenRL's, the default first
    threads: tuple[int, ...]
    trial: int  # rounds of each set-up, to find the best; 0: every set-up counts as it is, with `rounds`
    warm_up: int
    rounds: int


EMBEDDED = Setting("embedded", material.embedded, "easy", 8, 8, 64, 2e-4, True, (2, 16, 64), (1, 2), 3, 2, 15)
SHAPE = Setting("qwen3-0.6b-shape", material.qwen3_shape, "nine", 2, 8, 64, 1e-6, False, (2,), (2,), 0, 0, 1)


def task_of(setting: Setting, model: Path, rounds: Path) -> Task:
    """What is the same for all engines."""
    own = "embedded" if setting.name == EMBEDDED.name else model
    game = f"game.completions={setting.completions}", f"game.max_new_tokens={setting.max_new_tokens}"
    return Task(
        model=str(model),
        rounds=str(rounds),
        system_prompt=SYSTEM_PROMPT,
        completions=setting.completions,
        max_new_tokens=setting.max_new_tokens,
        temperature=1.0,
        learning_rate=setting.learning_rate,
        minibatch=0,
        threads=0,
        verifier=setting.verifier,
        settings=(f"policy.model={own}", "policy.cpu_only=true", *game),
    )


def entries(setting: Setting, engine: str, task: Task, python: Path) -> dict[str, list[Entry]]:
    """The ways to set up an engine, under the name of the row that the best of them gets."""

    def entry(variant: str, minibatch: int, threads: int) -> Entry:
        settings = (*task.settings, f"policy.threads={threads}")
        told = replace(task, minibatch=minibatch, threads=threads, settings=settings)
        return Entry(engine, variant, python, told)

    if engine != "genrl":
        return {"default": [entry("default", 0, threads) for threads in setting.threads]}
    default, *others = setting.minibatches
    return {
        "default": [entry("default", default, threads) for threads in setting.threads],
        "best": [entry("best", size, threads) for size in others for threads in setting.threads],
    }


def measure(setting: Setting, engines: Sequence[str]) -> tuple[list[Score], dict[str, str]]:
    """The scores of a setting, and why an engine has none."""
    skipped = dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        asked = setting.warm_up + max(setting.rounds, setting.trial)
        rounds = material.questions(Path(folder) / "rounds.json", setting.mix, setting.questions, asked)
        task = task_of(setting, setting.model(CACHE / setting.name), rounds)
        chosen = list[Entry]()
        for engine in engines:
            try:
                python = python_of(engine)
            except Missing as reason:
                skipped[engine] = str(reason)
                continue
            for ways in entries(setting, engine, task, python).values():
                chosen += _choose(setting, ways, skipped)
        if setting.trial:
            scores = race(chosen, setting.warm_up, setting.rounds)
        else:
            scores = [score for entry in chosen for score in race([entry], setting.warm_up, setting.rounds)]
    for score in scores:
        if score.failure:
            skipped[score.entry.engine] = score.failure
    return [score for score in scores if not score.failure], skipped


def _choose(setting: Setting, ways: list[Entry], skipped: dict[str, str]) -> list[Entry]:
    """The fastest of the ways to set up an engine, each tried alone."""
    if not setting.trial or len(ways) == 1:
        return ways
    tried = list[Score]()
    for way in ways:  # more threads than free processors may make a round a hundred times as long
        leader = fastest(tried)
        patience_s = max(2.0, 5 * leader.medians()["round_s"]) if leader else PATIENCE_S
        tried += race([way], 1, setting.trial, patience_s)
    best = fastest(tried)
    if best is None:
        skipped[ways[0].engine] = tried[0].failure
        return []
    for score in tried:
        task, seconds = score.entry.task, score.medians()["round_s"] if not score.failure else float("nan")
        console.print(
            f"{score.entry.engine}: minibatch {task.minibatch or '-'}, threads {task.threads}: {seconds:.3f} s"
        )
    return [best.entry]


def row(setting: Setting, score: Score) -> dict[str, Any]:
    """A line of the results."""
    medians, task = score.medians(), score.entry.task
    return {
        "setting": setting.name,
        "engine": score.entry.engine,
        "variant": score.entry.variant,
        "rounds_per_minute": round(60 / medians["round_s"], 2),
        "peak_rss_mib": round(score.peak_rss_mib),
        **{part: round(medians[part], 4) for part in ("round_s", "generation_s", "update_s", "cpu_s")},
        "tokens": round(medians["tokens"]),
        "repetitions": len(score.rounds),
        "minibatch": task.minibatch or None,
        "threads": task.threads,
    }


def show(rows: Sequence[dict[str, Any]], skipped: dict[str, str]) -> None:
    """The results, for people."""
    table = Table(*SHOWN)
    for one in rows:
        table.add_row(*(str(one[name]) for name in SHOWN))
    console.print(table)
    for engine, reason in skipped.items():
        console.print(f"skipped {engine}: {reason}")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="ours alone, two rounds; writes only where it is told to")
    parser.add_argument(
        "--setting", choices=("embedded", "qwen3-0.6b-shape"), help="only this one; the other's rows stay"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rounds", type=int, help="counted rounds of each engine, instead of the setting's own number")
    parser.add_argument("--threads", type=int, help="for every engine, instead of the best number")
    parser.add_argument("--results", type=Path, help="where the figures go")
    asked = parser.parse_args()
    settings = [setting for setting in (EMBEDDED, SHAPE) if asked.setting in (None, setting.name)]
    if asked.rounds:
        settings = [replace(setting, rounds=asked.rounds) for setting in settings]
    if asked.threads:
        settings = [replace(setting, threads=(asked.threads,)) for setting in settings]
    if asked.smoke:
        settings, asked.engines = [replace(EMBEDDED, threads=(1,), trial=0, warm_up=1, rounds=2)], ("ours",)
    path = asked.results or (None if asked.smoke else RESULTS)
    kept = json.loads(path.read_text())["rows"] if path and path.exists() else []
    rows = [one for one in kept if one["setting"] not in [setting.name for setting in settings]]
    skipped = dict[str, str]()
    for setting in settings:
        scores, absent = measure(setting, asked.engines)
        rows += [row(setting, score) for score in scores]
        skipped |= {f"{engine} ({setting.name})": reason for engine, reason in absent.items()}
    show(rows, skipped)
    if path:
        machine = {"cores": os.cpu_count(), "processor": platform.processor() or platform.machine()}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"machine": machine, "rows": rows, "skipped": skipped}, indent=1) + "\n")
    if path == RESULTS:
        DOCUMENT.write_text(document(rows, DOCUMENT.read_text()))
        plot(rows)


if __name__ == "__main__":
    main()
