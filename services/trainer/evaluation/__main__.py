"""`python -m services.trainer.evaluation --after MODEL [--before MODEL]`: held-out questions, answered and marked.

    MODEL --> Policy -----------------> exam.sit --------+
    papers (seed) --------------------> both             +--> report, gain --> table, --out JSON, --plot
    --endpoint, --model --> Endpoint -> endpoint.sit_at -+

MODEL is `embedded`, a model of the hub, a folder that transformers loads, or a trainer's checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from services.trainer.evaluation.endpoint import Endpoint, sit_at
from services.trainer.evaluation.exam import Line, Marks, Papers, gain, papers, report, sit
from services.trainer.evaluation.kept import kept_or_new
from services.trainer.games.tasks import Tasks
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from services.trainer.state.tensors import load_weights
from services.trainer.tracking.canvas import canvas, save
from shared.checkpoints import TENSORS
from shared.errors import SettingsError, SwarmError
from shared.estimates import Estimate
from shared.settings import load
from shared.tasks import cache_of, seed_of

Advance = Callable[[int], object]


def main() -> None:
    """Entry point; an expected failure is one line."""
    try:
        evaluate(arguments_of(sys.argv[1:]))
    except SwarmError as error:
        print(f"rlswarm eval: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def evaluate(asked: argparse.Namespace) -> None:
    """Do what was asked and show it. Raises SettingsError."""
    overrides = [f"data={asked.mix}"] if asked.mix else []
    settings = load("trainer", TrainerSettings, [*overrides, f"game.completions={asked.samples}"])
    tasks = Tasks(settings.data, seed_of(asked.seed, "evaluation"), cache_of(settings.state_dir))
    questions = papers(tasks, asked.questions)
    if not questions:
        raise SettingsError(f"the mix {settings.data.name} holds nothing out", "give it more questions")
    models, marks = list[str](), list[dict[str, Marks]]()
    if asked.endpoint:
        models.append(f"{asked.model} at {asked.endpoint}")
        marks.append(
            _with_bar(questions, models[0], lambda advance: _served(asked, tasks, questions, settings, advance))
        )
    for model in filter(None, (asked.before, asked.after)):
        models.append(model)
        kept = asked.keep if model == asked.before else None
        answering = partial(_local, asked, tasks, questions, settings, model)
        marks.append(kept_or_new(kept, model, questions, settings.game, asked.seed, answering))
    reports = [report(one, asked.seed) for one in marks]
    gains = gain(marks[0], marks[1], asked.seed) if len(marks) > 1 else {}
    found = as_json(asked, settings.data.name, models, reports, gains)
    sides = ("served", "local") if asked.endpoint else ("before", "after")
    if asked.json:
        print(json.dumps(found, indent=1))
    else:
        Console().print(as_table(sides, reports, gains, asked.samples))
    if asked.out:
        _write(asked.out, json.dumps(found, indent=1) + "\n")
    if asked.plot:
        draw(asked.plot, models, reports, asked.samples)


def opened(model: str, base: str, settings: TrainerSettings) -> Policy:
    """A model, ready to answer. Raises SettingsError."""
    if not (Path(model) / TENSORS).exists():  # it is no checkpoint
        return Policy(settings.policy.model_copy(update={"model": model}), trains=False)
    policy = Policy(settings.policy.model_copy(update={"model": base}), trains=False)
    try:
        load_weights(policy, Path(model) / TENSORS)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the checkpoint {model} cannot be used: {error}", f"name the model it was trained from; now it is {base}"
        ) from error
    return policy


def as_json(
    asked: argparse.Namespace,
    mix: str,
    models: list[str],
    reports: list[dict[str, Line]],
    gains: Mapping[str, Estimate],
) -> dict[str, Any]:
    """Everything that was found; intervals are of 95 %."""
    told = {"mix": mix, "seed": asked.seed, "samples": asked.samples}
    shown = [
        {"model": model, "sets": {name: asdict(line) for name, line in lines.items()}}
        for model, lines in zip(models, reports, strict=True)
    ]
    return {**told, "models": shown, "gain": {name: asdict(one) for name, one in gains.items()}}


def as_table(
    sides: tuple[str, ...], reports: list[dict[str, Line]], gains: Mapping[str, Estimate], samples: int
) -> Table:
    """One line a set, two columns a model; `sides` tells two of them apart."""
    table = Table(caption="95 % intervals: Wilson's (pass@1), bootstrap over the questions (mean)")
    table.add_column("held-out questions")
    for place in range(len(reports)):
        name = "" if len(reports) == 1 else f"{sides[place]} "
        table.add_column(f"{name}pass@1", justify="right")
        table.add_column(f"{name}mean@{samples}", justify="right")
    if gains:
        table.add_column("gain", justify="right")
    for name in reports[0]:
        cells = [f"{name} ({reports[0][name].questions})"]
        for lines in reports:
            cells += [_shown(lines[name].pass_at_1), _shown(lines[name].mean_at_k)]
        table.add_row(*cells, *([_shown(gains[name], sign="+")] if gains else []), end_section=name == "all")
    return table


def draw(path: Path, models: list[str], reports: list[dict[str, Line]], samples: int) -> None:
    """Mean reward and pass@1 by set, a bar a model, with their intervals. Raises SettingsError."""
    names, width = list(reports[0]), 0.8 / len(models)
    figure = canvas(2 + 1.1 * len(names), 6)
    titles = {"pass_at_1": "pass@1", "mean_at_k": f"mean@{samples}"}
    for axes, (field, title) in zip(figure.subplots(2, 1, sharex=True), titles.items(), strict=True):
        for place, (model, lines) in enumerate(zip(models, reports, strict=True)):
            found: list[Estimate] = [getattr(lines[name], field) for name in names]
            values = [one.value for one in found]
            reach = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
            at = [k + (place - (len(models) - 1) / 2) * width for k in range(len(names))]
            axes.bar(
                at,
                values,
                width * 0.95,
                yerr=reach,
                capsize=2,
                label=Path(model).name if Path(model).exists() else model,
            )
        axes.set_ylabel(title)
        axes.set_ylim(0, 1)
        axes.grid(axis="y", alpha=0.3)
    axes.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names], fontsize=8)
    figure.axes[0].legend(fontsize=8)
    save(figure, path)


def _served(
    asked: argparse.Namespace, tasks: Tasks, questions: Papers, settings: TrainerSettings, advance: Advance
) -> dict[str, Marks]:
    async def sat() -> dict[str, Marks]:
        endpoint = Endpoint(asked.endpoint, asked.model, asked.concurrency)
        try:
            return await sit_at(endpoint, tasks, questions, settings.game, asked.seed, advance)
        finally:
            await endpoint.close()

    try:
        return asyncio.run(sat())
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


def _local(
    asked: argparse.Namespace, tasks: Tasks, questions: Papers, settings: TrainerSettings, model: str
) -> dict[str, Marks]:
    """What a model answers on this machine, marked."""
    policy = opened(model, asked.base, settings)
    return _with_bar(questions, model, lambda told: sit(policy, tasks, questions, settings.game, asked.seed, told))


def _with_bar(questions: Papers, model: str, answering: Callable[[Advance], dict[str, Marks]]) -> dict[str, Marks]:
    total = sum(map(len, questions.values()))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(model, total=total)
        return answering(lambda count: progress.advance(bar, count))


def _shown(one: Estimate, sign: str = "") -> str:
    return f"{one.value:{sign}.3f} [{one.low:{sign}.3f}, {one.high:{sign}.3f}]"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({error.strerror})", "name a file in a folder that exists"
        ) from error


def arguments_of(given: list[str]) -> argparse.Namespace:
    """What was asked on the command line; ends the process where that makes no sense."""
    parser = argparse.ArgumentParser(prog="rlswarm eval", description="Held-out questions, answered and marked.")
    parser.add_argument("--after", help="the model")
    parser.add_argument("--before", help="another one, to compare with")
    parser.add_argument("--keep", type=Path, help="a folder for the marks of --before, not to be asked again")
    parser.add_argument("--endpoint", help="a server that speaks OpenAI's API, to compare with, or alone")
    parser.add_argument("--model", help="the name of the model there")
    parser.add_argument("--concurrency", type=int, default=8, help="requests to it at a time")
    parser.add_argument("--base", default="embedded", help="the model that a checkpoint was trained from")
    parser.add_argument("--mix", help="of questions (default: DATA_MIX)")
    parser.add_argument("--questions", type=int, default=50, help="of each set")
    parser.add_argument("--samples", type=int, default=8, help="k: answers sampled for each question")
    parser.add_argument("--seed", type=int, default=42, help="the same seed, the same questions and draws")
    parser.add_argument("--json", action="store_true", help="JSON instead of the table")
    parser.add_argument("--out", type=Path, help="write the JSON to a file, too")
    parser.add_argument("--plot", type=Path, help="draw it, as .svg or .png")
    asked = parser.parse_args(given)
    if not asked.after and not asked.endpoint:
        parser.error("nothing to evaluate: name a model, or --endpoint and --model")
    if bool(asked.endpoint) != bool(asked.model):
        parser.error("--endpoint and --model go together")
    if asked.endpoint and asked.before:
        parser.error("--before and --endpoint exclude each other: it is the endpoint that is compared with")
    return asked


if __name__ == "__main__":
    main()
