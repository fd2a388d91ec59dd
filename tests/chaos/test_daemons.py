"""Daemons that die, hang or lose their socket again and again under a running service: two minutes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.integration.p2p_lab import Household
from tests.p2p_kit import rollouts_of, until

pytestmark = pytest.mark.timeout(600)

STRIKES = 12
NOTICED_S, BACK_S = 10.0, 10.0  # the promise: noticed within, and then the same identity back within


def strike(how: str, pid: int, socket: str) -> None:
    if how == "gone":
        Path(socket).unlink()
    else:
        os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)


async def test_whatever_is_done_to_daemons_they_are_back_and_every_round_is_complete(tmp_path):
    chance = random.Random(7)
    async with Household(tmp_path / "a", peers=3) as ours:
        peers, addresses = ours.peers, set(ours.addresses)
        for number in range(1, STRIKES + 1):
            how = ("killed", "hung", "gone")[number % 3]
            struck, began = (
                chance.sample(list(zip(ours.daemons(), ours.sockets(), strict=True)), k=number % 2 + 1),
                time.monotonic(),
            )
            for pid, socket in struck:
                strike(how, pid, socket)
            await ours.open_round(number)
            await ours.sample(*(rollouts_of(peer, number) for peer in peers))
            gone = {pid for pid, _ in struck}
            await until(lambda gone=gone: not gone & set(ours.daemons()), 30)
            noticed = time.monotonic() - began
            await until(lambda: len(ours.daemons()) == 3, 30)
            back = time.monotonic() - began
            await ours.wait_for(set(peers), number, 30)
            rest = time.monotonic() - began
            print(f"\n{len(struck)} {how}: noticed {noticed:.1f} s, back {back:.1f} s, round {rest:.1f} s", flush=True)
            assert noticed < NOTICED_S
            assert back - noticed < BACK_S
        await asyncio.sleep(4)
        assert (ours.peers, set(ours.addresses)) == (peers, addresses)
        assert ours.degraded == {}
