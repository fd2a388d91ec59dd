"""Engines as processes that play a round when they are told to, so that their rounds can alternate."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import IO, Self

from benchmarks.trainer_peers.environment import ROOT
from benchmarks.trainer_peers.task import Task

PARTS = ("round_s", "generation_s", "update_s", "cpu_s", "tokens")
PATIENCE_S = 1_800.0  # for a round


@dataclass(frozen=True)
class Entry:
    """Who takes part, and how he is set up."""

    engine: str  # ours | genrl | trl
    variant: str  # what his set-up is called
    python: Path
    task: Task


@dataclass
class Score:
    """What was measured of an entry; `failure` says why it is not there."""

    entry: Entry
    rounds: list[dict[str, float]] = field(default_factory=list)
    peak_rss_mib: float = 0.0
    failure: str = ""

    def medians(self) -> dict[str, float]:
        """Of each part of a round; a round without an update has 0 there."""
        return {part: median(played.get(part, 0.0) for played in self.rounds) for part in PARTS}


class Failed(Exception):
    """An engine ended before it was told to; with the end of what it wrote."""


class Engine:
    """An engine's process, `with` which rounds are played."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.entry.task.write(folder / "task.json")
        self._log = folder / "log"
        module = f"benchmarks.trainer_peers.{self.entry.engine}"
        reading, writing = os.pipe()
        self._told = os.fdopen(reading)
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(self.entry.python), "-m", module, str(folder / "task.json"), str(writing)],
                cwd=ROOT,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_MODE": "offline"},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
                text=True,
            )
        os.close(writing)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            _open(self._process.stdin).close()
        self._told.close()
        self._folder.cleanup()

    def ready(self) -> None:
        """Wait until it has loaded everything. Raises Failed."""
        self._hear()

    def play(self, number: int, patience_s: float) -> dict[str, float]:
        """One round, waited for so long. Raises Failed."""
        with suppress(BrokenPipeError):  # what it wrote before tells why
            print(number, file=_open(self._process.stdin), flush=True)
        if not select.select([self._told], [], [], patience_s)[0]:
            self._process.kill()
            raise Failed(f"{self.entry.engine} took more than {patience_s:.0f} s for a round")
        return self._hear()

    def end(self) -> float:
        """No more rounds; the peak of its memory, MiB. Raises Failed."""
        _open(self._process.stdin).close()
        return self._hear()["peak_rss_mib"]

    def _hear(self) -> dict[str, float]:
        line = self._told.readline()
        if not line:
            self._process.wait()
            wrote = self._log.read_text().strip().splitlines() or ["(nothing)"]
            raise Failed(f"{self.entry.engine} ended with {self._process.returncode}: {wrote[-1]}")
        told: dict[str, float] = json.loads(line)
        return told


def race(entries: Sequence[Entry], warm_up: int, rounds: int, patience_s: float = PATIENCE_S) -> list[Score]:
    """Each plays the same rounds, one after the other, round by round; who fails is out, and the others go on."""
    scores = [Score(entry) for entry in entries]
    with ExitStack() as held:
        engines = [held.enter_context(Engine(entry)) for entry in entries]
        for number in range(-1, warm_up + rounds + 1):
            for score, engine in zip(scores, engines, strict=True):
                if score.failure:
                    continue
                try:
                    _turn(score, engine, number, warm_up, rounds, patience_s)
                except Failed as failure:
                    score.failure = str(failure)
    return scores


def _turn(score: Score, engine: Engine, number: int, warm_up: int, rounds: int, patience_s: float) -> None:
    if number < 0:
        engine.ready()
    elif number == warm_up + rounds:
        score.peak_rss_mib = engine.end()
    else:
        played = engine.play(number, patience_s)
        if number >= warm_up:
            score.rounds.append(played)


def fastest(scores: Sequence[Score]) -> Score | None:
    """The one whose median round is the shortest; None if all failed."""
    ran = [score for score in scores if not score.failure]
    return min(ran, key=lambda score: score.medians()["round_s"], default=None)


def _open(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
