"""Households on machines of their own: behind routers, cut off from each other, on bad lines. Real p2pds in network
namespaces; the services run here, and speak to their p2pd through its socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from p2p_lab import Household

from services.p2p.network import daemon
from tests.p2p_kit import rollouts_of, until
from tests.wires import Wires, why_not

PORT = 4001


@pytest.fixture
def wires(monkeypatch) -> Iterator[Wires]:
    if reason := why_not(routers=True):
        print(f"skipped: {reason}")
        pytest.skip(reason)
    command = daemon._command

    def on_its_machine(identity, *told) -> list[str]:
        return [*wires.machines[identity.path.parent.parent.name], *command(identity, *told)]

    with Wires(delay_s=0.01) as wires:
        wires.machines = {}  # name of a household's folder -> the words before a command on its machine
        monkeypatch.setattr(daemon, "_command", on_its_machine)
        yield wires


def public(wires: Wires, folder, number: int, **changes) -> Household:
    """A household that everybody can call."""
    wires.machines[folder.name] = wires.host(folder.name, f"44.0.0.{number}")
    return Household(folder, host="0.0.0.0", port=PORT, **changes)


def at_home(wires: Wires, folder, number: int, **changes) -> Household:
    """A household behind a router that lets nobody in."""
    wires.machines[folder.name] = wires.home(folder.name, f"44.0.0.{number}")
    return Household(folder, host="0.0.0.0", port=PORT, **changes)


def address(household: Household) -> str:
    return next(one for one in household.addresses if "/44.0.0." in one)


async def exchange(*households: Household, number: int = 1, seconds: float = 20) -> None:
    everybody = {peer for one in households for peer in one.peers}
    for one in households:
        await one.open_round(number)
        await one.sample(rollouts_of(one.peers[0], number))
    for one in households:
        await one.wait_for(everybody - {*one.peers}, number, seconds)


async def test_two_behind_routers_exchange_rollouts_with_a_bootnode_and_through_it_with_each_other(tmp_path, wires):
    async with AsyncExitStack() as stack:
        boot = await stack.enter_async_context(public(wires, tmp_path / "boot", 1, bootnode=True))
        told = {"initial_peers": [address(boot)], "relay": "private"}
        homes = [
            await stack.enter_async_context(at_home(wires, tmp_path / name, number, **told))
            for name, number in (("x", 2), ("y", 3))
        ]
        await until(lambda: all(one.facts["connected"] == 2 for one in (boot, *homes)), 20)
        assert any("p2p-circuit" in one for one in homes[0].addresses)
        await exchange(boot, *homes)


async def test_who_was_cut_off_and_lost_its_p2pd_meanwhile_has_peers_again_within_two_rounds(tmp_path, wires):
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(public(wires, tmp_path / "a", 1))
        told = {"initial_peers": [address(first)]}
        second = await stack.enter_async_context(public(wires, tmp_path / "b", 2, **told))
        await exchange(first, second)
        wires.split(["44.0.0.1"], ["44.0.0.2"])
        (before,) = second.daemons()
        os.kill(before, signal.SIGKILL)
        await until(lambda: second.daemons() and second.daemons() != [before])
        await asyncio.sleep(3)
        wires.split()
        await exchange(first, second, number=2)
