"""What honest trainers learn among as many malicious peers, beside what they learn without them: some ten minutes."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from statistics import fmean

import pytest

from tests.byzantine_kit import KINDS, Story, play

pytestmark = pytest.mark.timeout(3_600)

HONEST, ROUNDS, LATE = 4, int(os.environ.get("BYZANTINE_ROUNDS", "25")), 10
SEEDS = [int(seed) for seed in os.environ.get("BYZANTINE_SEEDS", "1 2 3").split()]
TOLERANCE = 0.05  # of the mean reward


async def told(folder: Path, kinds: tuple[str, ...], seed: int) -> Story:
    began = time.monotonic()
    story = await play(folder / f"{seed}-{len(kinds)}", honest=HONEST, kinds=kinds, rounds=ROUNDS, seed=seed)
    print(
        f"\nseed {seed}, {len(kinds)} malicious: mean reward {story.reward:.4f}, last {LATE} rounds"
        f" {story.late_reward(LATE):.4f}; {story.heard(kinds)} malicious groups; {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return story


async def test_honest_peers_earn_as_much_among_malicious_ones_as_without_them(tmp_path):
    ratios = []
    for seed in SEEDS:
        alone, among = await told(tmp_path, (), seed), await told(tmp_path, tuple(KINDS), seed)
        assert among.heard(KINDS) == 0
        ratios.append(among.reward / alone.reward)
    mean = math.exp(fmean(map(math.log, ratios)))
    print(f"\nby that without them: {', '.join(f'{one:.3f}' for one in ratios)}; mean {mean:.3f}", flush=True)
    assert abs(mean - 1) < TOLERANCE
