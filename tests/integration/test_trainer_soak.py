"""A trainer does not grow: what a few dozen rounds leave behind. `python -m benchmarks.soak` plays hundreds."""

import os

from benchmarks.soak import growth, soak

SMALL = ("questions=2", "game.max_new_tokens=24", "game.completions=4", "learner.external_groups=2")
WARM_UP, LEAK_MIB = 20, 0.2  # rounds, till everything with a bound is full; a round, that must be found


def after_warm_up(looks):
    return [look for look in looks if look.round >= WARM_UP]


async def test_rounds_leave_nothing_behind(tmp_path):
    looks = after_warm_up(await soak(tmp_path, range(52), *SMALL, trimmed=True))
    assert growth(looks, "resident_mib") < LEAK_MIB
    first, last = looks[0], looks[-1]
    assert (last.files, last.tasks, last.threads, last.held) == (first.files, first.tasks, first.threads, first.held)
    assert growth(looks, "objects") < 2


async def test_a_leak_would_be_found(tmp_path):
    hoard = []

    def leaking():
        for number in range(46):
            hoard.append(os.urandom(int(2 * LEAK_MIB * 2**20)))
            yield number

    looks = after_warm_up(await soak(tmp_path, leaking(), *SMALL, trimmed=True))
    assert growth(looks, "resident_mib") > LEAK_MIB
