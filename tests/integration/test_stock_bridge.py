"""Rollouts to and from GenRL's own HivemindBackend, as PyPI has it, in a process and with a p2pd of its own."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import sysconfig
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.p2p.bridge import bridge
from services.p2p.bridge.layouts import read, write
from services.p2p.bridge.payloads import groups_of
from services.trainer.games.tasks import Tasks
from services.trainer.settings import TrainerSettings
from shared.messages import Completion, Group, Question, Rollouts
from shared.settings import load
from shared.streams import EVENTS, ROLLOUTS_PEER
from shared.tasks import is_held_out
from tests.integration.p2p_lab import Household, Stranger
from tests.p2p_kit import identity, rollouts_of, until
from tests.stock_kit import value

ROOT = Path(__file__).parents[2]
NEW, OLD = "0.3.0", "0.1.11"
PEER = identity("somebody").peer_id
BRIDGE = {"bridge": True, "completions": 2, "peers": 16}


def python_of(version: str) -> Path:
    """A Python with this GenRL, on our own packages; made at the first run, in a second or two."""
    folder = ROOT / ".cache" / "stock-nodes" / version
    python, packages = folder / "bin" / "python", sysconfig.get_paths(vars={"base": str(folder)})["purelib"]
    if not (Path(packages) / "ours.pth").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)], check=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--target", packages]
        done = subprocess.run(
            [*pip, f"gensyn-genrl=={version}"], capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            pytest.skip(f"gensyn-genrl {version} is not to be had: {done.stderr.strip().splitlines()[-1]}")
        (Path(packages) / "ours.pth").write_text(sysconfig.get_paths()["purelib"])
    return python


@asynccontextmanager
async def stock_node(version: str, *arguments: str):
    """A node's first line, while it runs."""
    command = [str(python_of(version)), str(ROOT / "tests" / "stock_node.py"), *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, limit=2**20)
    errors = asyncio.create_task(process.stderr.read())
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 20)
        except TimeoutError:
            process.kill()
        print((await errors).decode()[-2_000:])


async def said_by(process) -> dict:
    return json.loads(await asyncio.wait_for(process.stdout.readline(), 120))


async def arrivals(house: Household, count: int) -> dict[str, Rollouts]:
    """The first rollouts that nobody signed for, by peer."""
    found: dict[str, Rollouts] = {}
    async with asyncio.timeout(30):
        while len(found) < count:
            for entry in await house.queue.read(ROLLOUTS_PEER, wait_s=1.0):
                if not entry.message.signed:
                    found[entry.message.peer_id] = entry.message
    return found


async def arrived_at(house: Household, number: int) -> None:
    """The household follows this round."""
    await until(lambda: house.facts.get("round") == number)
    await asyncio.sleep(2 * bridge.STEP_S)


def tasks() -> Tasks:
    return Tasks(load("trainer", TrainerSettings, ["data=six"]).data, 7)


def ours_of(house: Household, number: int) -> Rollouts:
    """What a trainer of ours sampled, on a question that stock nodes have, too."""
    question = next(one for one in map(tasks().question, range(99)) if one.dataset == "decimal_arithmetic")
    right = Completion(text=f"<answer>{question.answer}</answer>", finished=True)
    groups = (Group(question=question, completions=(right, right)),)
    return rollouts_of(house.peers[0], number).model_copy(update={"groups": groups})


async def test_rollouts_go_both_ways_between_the_service_and_stock_nodes_of_two_kinds(tmp_path, monkeypatch):
    monkeypatch.setattr(bridge, "LOOK_S", (1.0, 1.0))
    async with Household(tmp_path / "house", stock=BRIDGE) as house:
        ours = ours_of(house, 3)
        await house.open_round(3, seconds=120)
        await house.sample(ours)
        async with stock_node(NEW, "3", house.addresses[0]) as new, stock_node(OLD, "3", house.addresses[0]) as old:
            said = [await said_by(new), await said_by(old)]
            theirs = await arrivals(house, 2)
        for told in said:
            check_theirs(theirs[told["peer"]], bytes.fromhex(told["value"]))
        check_ours(said[0]["heard"], ours)
        assert ours.peer_id not in said[1]["heard"], "what it cannot read it leaves out"
        assert write(read(bytes.fromhex(said[0]["value"]))) == bytes.fromhex(said[0]["value"])
        await house.open_round(4)
        await until(lambda: house.facts["round"] == 4)
        assert (await house.queue.last(EVENTS)).message.unsigned == 2


async def test_what_a_stock_node_wrote_is_held_and_handed_on_when_it_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(bridge, "LOOK_S", (0.2, 0.5))
    async with Household(tmp_path / "holder", stock=BRIDGE) as holder, Stranger("stock") as stock:
        await holder.open_round(3)
        await arrived_at(holder, 3)
        await stock.start(*holder.addresses)
        good = value(["5"])
        assert await stock.node.store("3", good, time.time() + 600, subkey=stock.peer)
        assert await stock.node.store("3", value(["x" * 9_000] * 3), time.time() + 600, subkey=PEER)
        assert not await stock.node.store("3", b"rubbish", time.time() + 600, subkey=PEER[:-1] + "x")
        assert not await stock.node.store("30", good, time.time() + 600, subkey=stock.peer)
        await stock.die()
        async with Household(tmp_path / "reader", stock=BRIDGE, initial_peers=holder.addresses) as reader:
            await reader.open_round(3)
            found = await arrivals(reader, 2)
            assert set(found) == {stock.peer, PEER}


def check_theirs(rollouts: Rollouts, sent: bytes) -> None:
    """Two questions, which a trainer of ours makes again, and their completions as they were written."""
    assert (rollouts.round, rollouts.stage, rollouts.groups) == (3, 0, groups_of(sent))
    assert len(rollouts.groups) == 2
    for group in rollouts.groups:
        assert [completion.text for completion in group.completions] == ["<answer>no</answer>", "no idea"]
        assert not any(completion.finished for completion in group.completions)
        refused, _ = tasks().verdict(Question.model_validate_json(group.question.model_dump_json()))
        assert bool(refused) == is_held_out(group.question.text)


def check_ours(heard: dict, ours: Rollouts) -> None:
    """The stock node read what we wrote, and its own scorer finds it right."""
    ((payload,),) = heard[ours.peer_id].values()
    asked = ours.groups[0]
    assert payload["question"] == asked.question.text
    assert payload["actions"] == [completion.text for completion in asked.completions]
    assert payload["scores"] == [1.0, 1.0]
