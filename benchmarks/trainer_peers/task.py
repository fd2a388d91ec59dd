"""What every engine is told, and how it is asked. Standard library only: it also runs in the other engines' venvs.

trainer.py --TASK.json--> engine's process, ready       --{}------------------------------------> trainer.py
           --"3\\n"------> plays round 3                 --{round_s, generation_s, tokens, ...}----->
           --end of file-> says what it took, and ends  --{peak_rss_mib}------------------------->
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One engine's work."""

    model: str  # folder
    rounds: str  # JSON file: a list of rounds, each a list of questions {text, answer, dataset, metadata}
    system_prompt: str
    completions: int  # G
    max_new_tokens: int
    temperature: float
    learning_rate: float
    minibatch: int  # completions in one forward and backward pass, where the engine has such a knob
    threads: int  # 0: as the engine chooses
    verifier: bool  # rewards by reasoning-gym; else by `parity`, for a model that cannot answer anything
    dtype: str = "float32"  # of the weights, where the engine has such a knob
    settings: tuple[str, ...] = ()  # of ours, as Hydra overrides

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: str) -> Task:
        """From JSON."""
        told = json.loads(Path(path).read_text())
        return cls(**{**told, "settings": tuple(told["settings"])})

    def questions(self) -> list[list[dict[str, Any]]]:
        """All rounds."""
        rounds: list[list[dict[str, Any]]] = json.loads(Path(self.rounds).read_text())
        return rounds


class Stopwatch:
    """Seconds of the parts of a round."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Add the time of a block."""
        start = time.perf_counter()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

    @contextmanager
    def round(self) -> Iterator[None]:
        """Begin anew and time a whole round: `round_s`, and `cpu_s`, of all threads of this process."""
        self.seconds.clear()
        start = time.process_time()
        with self("round_s"):
            yield
        self.seconds["cpu_s"] = time.process_time() - start

    def around(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self(part):
                return function(*args, **kwargs)

        return timed


class Line:
    """The engine's end of the line, which libraries that print cannot disturb: a pipe of its own (second argument)."""

    def __init__(self) -> None:
        self._out = os.fdopen(int(sys.argv[2]), "w")

    def tell(self, **figures: float) -> None:
        """One line of JSON."""
        print(json.dumps(figures), file=self._out, flush=True)

    def asked(self) -> Iterator[int]:
        """The numbers of the rounds to play; the peak of memory is told at their end."""
        self.tell()
        for line in sys.stdin:
            yield int(line)
        self.tell(peak_rss_mib=peak_rss_mib())


def peak_rss_mib() -> float:
    """The kernel's high-water mark of this process since its program was started (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def parity(text: str) -> float:
    """A reward that depends on the text and on nothing else, and differs within every group."""
    return sum(text.encode()) % 8 / 7


def scorer(task: Task) -> Callable[[dict[str, Any], str], float]:
    """Reward of a completion to a question, the same for all engines."""
    if not task.verifier:
        return lambda question, text: parity(text)
    from reasoning_gym.factory import get_score_answer_fn  # noqa: PLC0415 - only where it is needed
    from reasoning_gym.utils import extract_answer  # noqa: PLC0415

    known: dict[str, Callable[..., float]] = {}

    def score(question: dict[str, Any], text: str) -> float:
        name = question["dataset"]
        if name not in known:
            known[name] = get_score_answer_fn(name)
        answer = extract_answer(text, tag_name="answer")
        return 0.0 if answer is None else float(known[name](answer, question))

    return score
