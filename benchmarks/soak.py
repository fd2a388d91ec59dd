"""Does a trainer grow? Hundreds of rounds on the embedded model in one process, watched from within.

    python -m benchmarks.soak --rounds 500

plays the service's own rounds (`Trainer.play`), with two peers' rollouts in each and a checkpoint after each, prints a
table, and writes `benchmarks/results/soak.json` and a plot beside it.

    resident_mib   memory of the process; from Theil and Sen's slope (the median of all pairs' slopes, which one jump
                   does not move) of the rounds after the warm-up comes the growth in MiB a round
    files, tasks, threads, objects   open files, asyncio's tasks, threads, objects that Python's collector knows of
    held           entries in everything that the trainer itself keeps: peers' rollouts, messages to send (again)
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.round import RESULTS
from services.trainer.games.tasks import Tasks
from services.trainer.loop import Trainer
from services.trainer.settings import TrainerSettings
from services.trainer.tracking.canvas import canvas, save
from shared.health import Health
from shared.host import resident_bytes
from shared.messages import Completion, Group, Question, Rollouts, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROLLOUTS_PEER, ROUNDS, Stream

T = TypeVar("T")
ME, PEERS = "Qm" + "m" * 44, ("Qm" + "a" * 44, "Qm" + "b" * 44)
KEPT = 20  # entries of a stream: the queue must not grow, or what grows is the queue
STEP = 5  # rounds between two looks


@dataclass(frozen=True)
class Look:
    """What the process holds after so many rounds."""

    round: int
    resident_mib: float
    files: int
    tasks: int
    threads: int
    objects: int
    held: int


class Forgetful(MemoryQueue):
    """A queue with readers that are always quick."""

    async def publish(self, stream: Stream[T], message: T) -> None:
        """See `Queue.publish`."""
        await super().publish(stream, message)
        entries = self._log(stream).entries
        while len(entries) > KEPT:
            del entries[next(iter(entries))]


async def soak(folder: Path, rounds: Iterable[int], *overrides: str, trimmed: bool = False) -> list[Look]:
    """Play the rounds; a look every few of them, at memory `trimmed` or as it is."""
    context = Context(Forgetful(), MemoryStore(), Health("trainer", "soak", 3600))
    settings = load(
        "trainer", TrainerSettings, [f"state_dir={folder}", "judge_url=null", "policy.model=embedded", *overrides]
    )
    trainer = Trainer(settings, context, ME)
    tasks, looks = Tasks(settings.data, 0), []
    for number in rounds:
        for peer in PEERS:
            await context.queue.publish(ROLLOUTS_PEER, rollouts(tasks, peer, number))
        round_ = Round(number=number, stage=0, opened_at=time.time(), deadline=time.time() + 600)
        await context.queue.publish(ROUNDS, round_)
        await trainer.play(round_)
        await trainer.resend()
        if number % STEP == 0:
            looks.append(look(trainer, number, trimmed=trimmed))
    return looks


def rollouts(tasks: Tasks, peer: str, number: int) -> Rollouts:
    """A peer's four groups, half of each right."""
    questions = [tasks.question(8 * number + 4 * PEERS.index(peer) + k) for k in range(4)]
    groups = tuple(Group(question=one, completions=tuple(_answer(one, k) for k in range(8))) for one in questions)
    return Rollouts(peer_id=peer, round=number, stage=0, groups=groups)


def _answer(question: Question, k: int) -> Completion:
    text = question.answer if k % 2 else str(k)
    return Completion(text=f"<think> </think> <answer> {text} </answer>", finished=True)


def look(trainer: Trainer, number: int, *, trimmed: bool) -> Look:
    """Count everything. `trimmed`: give back first what is free, so that few rounds tell what is held."""
    gc.collect()
    if trimmed:
        ctypes.CDLL(None).malloc_trim(0)
    feed, outbox, progress = trainer.feed, trainer.outbox, trainer.progress
    held = sum(map(len, feed._rounds.values())) + len(outbox._held) + len(progress.unsent) + len(progress.memory.kept)
    return Look(
        round=number,
        resident_mib=round(resident_bytes() / 2**20, 2),
        files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        objects=len(gc.get_objects()),
        held=held,
    )


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Theil and Sen's slope of (x, y) points, no two of one x."""
    return median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))


def growth(looks: Sequence[Look], field: str) -> float:
    """What is added to a figure in each round."""
    return slope([(one.round, getattr(one, field)) for one in looks])


def report(looks: Sequence[Look], rounds: int, warm_up: int, seconds: float) -> dict[str, Any]:
    """The figures."""
    settled = [one for one in looks if one.round >= warm_up]
    fields = ("resident_mib", "files", "tasks", "threads", "objects", "held")
    rows = [
        {
            "figure": field,
            "after_warm_up": getattr(settled[0], field),
            "at_the_end": getattr(settled[-1], field),
            "growth_a_round": round(growth(settled, field), 5),
        }
        for field in fields
    ]
    return {
        "rounds": rounds,
        "warm_up": warm_up,
        "rounds_per_minute": round(60 * rounds / seconds, 1),
        "rows": rows,
        "looks": [asdict(one) for one in looks],
    }


def draw(figures: dict[str, Any], path: Path) -> None:
    """Memory and objects over the rounds."""
    figure, looks = canvas(8, 3), figures["looks"]
    numbers = [one["round"] for one in looks]
    for place, (field, title) in enumerate((("resident_mib", "resident memory, MiB"), ("objects", "Python objects"))):
        axes = figure.add_subplot(1, 2, place + 1)
        axes.plot(numbers, [one[field] for one in looks], linewidth=1)
        axes.axvspan(0, figures["warm_up"], alpha=0.1)
        axes.set(xlabel="round", title=title, ylim=(0, 1.2 * max(one[field] for one in looks)))
    save(figure, path)


def main() -> None:
    """Play, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--warm-up", type=int, default=100)
    asked = parser.parse_args()
    if not 0 < asked.warm_up < asked.rounds - 2 * STEP:
        sys.exit("there must be more rounds than the warm-up has")
    logging.disable(logging.WARNING)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        looks = asyncio.run(soak(Path(folder), track(range(asked.rounds), "rounds")))
    figures = report(looks, asked.rounds, asked.warm_up, time.monotonic() - began)
    table = Table("", "after the warm-up", "at the end", "growth a round", title=f"{figures['rounds']} rounds")
    for row in figures["rows"]:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soak.json").write_text(json.dumps(figures, indent=1) + "\n")
    draw(figures, RESULTS / "soak.svg")


if __name__ == "__main__":
    main()
