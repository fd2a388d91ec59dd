"""Trainers that die where they are told to, each a process of its own: `python -m tests.doomed`.

A line on stdin, the name of a point and a number, starts one; its pid is answered, and its exit code when it has ended.
It is forked from this process, where everything is imported already, and is `python -m services.trainer` but for that
and for the kill -9 that it gives itself when it comes to the point for the so-many-th time.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from services.trainer import service
from services.trainer.games.game import AnswerGame
from services.trainer.learning.learner import Learner
from services.trainer.settings import TrainerSettings
from services.trainer.state import checkpoint
from services.trainer.state.journal import Journal
from shared.messages import Reward, Trained, Winners
from shared.queue.redis import RedisQueue
from shared.runtime import serve, start

Die = Callable[..., None]  # with what is still to be done just before


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> Callable[[Die], None]:
    """The point where a function is called."""

    def arm(reached: Die) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def doomed(*args: Any, **named: Any) -> Any:
            reached()
            return real(*args, **named)

        setattr(owner, name, doomed)

    return arm


def after(owner: Any, name: str) -> Callable[[Die], None]:
    """The point where a function has done its work."""

    def arm(reached: Die) -> None:
        real = getattr(owner, name)

        @wraps(real)
        def doomed(*args: Any, **named: Any) -> Any:
            found = real(*args, **named)
            reached()
            return found

        setattr(owner, name, doomed)

    return arm


def queued(message: type, *, done: bool) -> Callable[[Die], None]:
    """The point where a message of this type is about to be queued, or is."""

    def arm(reached: Die) -> None:
        real = RedisQueue.publish

        async def doomed(self: RedisQueue, stream: Any, one: Any) -> None:
            if isinstance(one, message) and not done:
                reached()
            await real(self, stream, one)
            if isinstance(one, message) and done:
                reached()

        RedisQueue.publish = doomed

    return arm


def half_written(reached: Die) -> None:
    """The point where half of the tensors are in the file."""
    real = checkpoint.write_tensors

    def doomed(policy: Any, learner: Any, path: Path) -> None:
        real(policy, learner, path)
        reached(lambda: os.truncate(path, path.stat().st_size // 2))

    checkpoint.write_tensors = doomed


POINTS: dict[str, Callable[[Die], None]] = {
    "sampled": after(AnswerGame, "sample"),
    "rollouts queued, no reward": queued(Reward, done=False),
    "reward queued": queued(Reward, done=True),
    "scoring": before(AnswerGame, "score"),
    "exchange over, not written down": before(Journal, "write_peers"),
    "exchange over, written down": after(Journal, "write_peers"),
    "learning": before(Learner, "log_probs"),
    "gradient there": before(torch.optim.AdamW, "step"),
    "weights changed": after(torch.optim.AdamW, "step"),
    "tensors half written": half_written,
    "tensors written": after(checkpoint, "write_tensors"),
    "before the rename": before(checkpoint.Path, "rename"),
    "renamed": after(checkpoint.Path, "rename"),
    "dropping an old one": before(shutil, "rmtree"),
    "no vote": queued(Winners, done=False),
    "vote queued": queued(Winners, done=True),
    "no event": queued(Trained, done=False),
    "event queued": queued(Trained, done=True),
}


def live(settings: TrainerSettings, point: str, times: int) -> None:
    """The whole life of a trainer; of one without a point until it is through or killed from outside."""
    left = times

    def reached(last_deed: Callable[[], None] | None = None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            if last_deed is not None:
                last_deed()
            die()

    if point:
        POINTS[point](reached)
    os._exit(serve("trainer", settings, service.run))


def main() -> None:
    settings = start("trainer", TrainerSettings)
    torch.set_num_threads(1)  # no thread may be there when it forks
    for line in sys.stdin:
        point, times = line.rstrip("\n").split("\t")
        if (pid := os.fork()) == 0:
            live(settings, point, int(times))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
