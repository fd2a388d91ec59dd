"""The runs of a study on several processes, each finished one written down at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.sapo.run import Row, conduct
from benchmarks.sapo.study import Run, Study
from benchmarks.sapo.weights import start_model

LOOK_S = 1.0  # between two looks at the counter

_counted: Any = None  # rounds played by all workers; set in each of them


def conduct_all(study: Study, runs: Sequence[Run], folder: Path, *, workers: int) -> list[Row]:
    """The rows of all runs, in their order; those found in `folder` from an earlier call are not run again."""
    folder.mkdir(parents=True, exist_ok=True)
    diary, done = _diary(study, folder), finished(study, folder)
    left = [run for run in runs if run not in done]
    for careful in sorted({one for run in left for one in study.regimes[run.regime].careful if one is not None}):
        start_model(careful, study.fit_steps, folder)
    context = multiprocessing.get_context("spawn")
    counter = context.Value("i", 0)
    with (
        _bar() as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(counter,)) as pool,
    ):
        rounds = progress.add_task("rounds", total=sum(study.regimes[run.regime].rounds for run in left))
        waiting = {pool.submit(_conduct, study, run, folder): run for run in left}
        while waiting:
            ended, _ = wait(waiting, timeout=LOOK_S, return_when=FIRST_COMPLETED)
            progress.update(rounds, completed=counter.value)
            for future in ended:
                run = waiting.pop(future)
                done[run] = future.result()
                _write_down(done[run], diary)
    return [done[run] for run in runs]


def finished(study: Study, folder: Path) -> dict[Run, Row]:
    """What `folder` holds of the study."""
    return {Run(row.regime, row.arm, row.seed): row for row in _read(_diary(study, folder))}


def _diary(study: Study, folder: Path) -> Path:
    return folder / f"{study.digest}.jsonl"


def _conduct(study: Study, run: Run, folder: Path) -> Row:
    return conduct(study, run, folder, _tell)


def _begin(counter: Any) -> None:
    global _counted  # noqa: PLW0603 - how a pool hands something shared to its workers
    _counted = counter


def _tell() -> None:
    with _counted.get_lock():
        _counted.value += 1


def _read(diary: Path) -> list[Row]:
    """What was written down; a last line cut short by a crash is no row."""
    lines = diary.read_text().splitlines(keepends=True) if diary.exists() else []
    return [Row.model_validate_json(line) for line in lines if line.endswith("\n")]


def _write_down(row: Row, diary: Path) -> None:
    whole = "".join(one.model_dump_json() + "\n" for one in [*_read(diary), row])
    beside = diary.with_suffix(".part")
    beside.write_text(whole)
    beside.replace(diary)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn())
