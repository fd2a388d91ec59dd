"""Daemons that die again and again under a running service: about a minute."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time

import pytest

from tests.integration.p2p_lab import Household
from tests.p2p_kit import rollouts_of, until

pytestmark = pytest.mark.timeout(300)

STRIKES = 12
BACK_S = 10.0  # the promise: from the look that finds it dead to the same identity in the swarm again


async def test_whatever_daemon_is_killed_is_back_and_every_round_is_complete(tmp_path):
    chance = random.Random(7)
    async with Household(tmp_path / "a", peers=3) as ours:
        peers, addresses = ours.peers, set(ours.addresses)
        for number in range(1, STRIKES + 1):
            killed = chance.sample(ours.daemons(), k=chance.randint(1, 3))
            struck = time.monotonic()
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            await ours.open_round(number)
            await ours.sample(*(rollouts_of(peer, number) for peer in peers))
            await until(lambda gone=set(killed): len(ours.daemons()) == 3 and not gone & set(ours.daemons()), 20)
            back = time.monotonic() - struck
            await ours.wait_for(set(peers), number, 30)
            rest = time.monotonic() - struck
            print(
                f"\nround {number}: {len(killed)} killed, back after {back:.1f} s, complete after {rest:.1f} s",
                flush=True,
            )
            assert back < BACK_S
        await asyncio.sleep(4)
        assert (ours.peers, set(ours.addresses)) == (peers, addresses)
        assert ours.degraded == {}
