"""A trainer does not grow: what a few dozen rounds leave behind. `python -m benchmarks.soak` plays hundreds.

Each in a process of its own: in one that ran other tests, what these gave back late hides what is held.
"""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.soak import Look, growth, soak

SMALL = ("questions=2", "game.max_new_tokens=24", "game.completions=4", "learner.external_groups=2")
WARM_UP, LEAK_MIB = 20, 0.2  # rounds, till everything with a bound is full; a round, that must be found


def played(folder: Path, rounds: int, leak_mib: float) -> list[Look]:
    """The looks after the warm-up, of rounds each of which leaves so much behind."""
    hoard = []

    def leaking() -> Iterator[int]:
        for number in range(rounds):
            hoard.append(os.urandom(int(leak_mib * 2**20)))
            yield number

    looks = asyncio.run(soak(folder, leaking(), *SMALL, trimmed=True))
    return [look for look in looks if look.round >= WARM_UP]


def elsewhere(*told: object) -> list[Look]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(played, *told).result()


def test_rounds_leave_nothing_behind(tmp_path):
    looks = elsewhere(tmp_path, 52, 0.0)
    assert growth(looks, "resident_mib") < LEAK_MIB
    first, last = looks[0], looks[-1]
    assert (last.files, last.tasks, last.threads, last.held) == (first.files, first.tasks, first.threads, first.held)
    assert growth(looks, "objects") < 2


def test_a_leak_would_be_found(tmp_path):
    assert growth(elsewhere(tmp_path, 46, 2 * LEAK_MIB), "resident_mib") > LEAK_MIB
