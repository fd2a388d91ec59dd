"""kill -9 of a trainer at 20 random points: it ends with the weights, and has sent what it would have without.

The points are spread over everything that a round does (`tests/doomed.py`), and a few are moments that a clock chose.
The seed that chose them is printed; KILL_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random, SystemRandom

import pytest

from services.trainer.games.tasks import Tasks
from services.trainer.settings import TrainerSettings
from services.trainer.state.tensors import digest
from shared.household import activities, put_hosted_peers
from shared.messages import Completion, Group, Rollouts, Round, Trained, Winners
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.settings import load
from shared.streams import EVENTS, ROLLOUTS_LOCAL, ROLLOUTS_PEER, ROUNDS, SUBMISSIONS
from tests.conftest import RedisServer
from tests.coordinator_kit import ROOT
from tests.doomed import POINTS
from tests.examples import ALICE, BOB

KILLS, TIMED = 20, ("sampling", "exchanging", "learning", "saving")
CAROL, LATE = "Qm" + "c" * 44, "Qm" + "e" * 44


def rollouts_of(peer: str, number: int) -> Rollouts:
    """What a peer sends in a round: always the same; half of his answers are right."""
    tasks = Tasks(load("trainer", TrainerSettings).data, 2 * sum(map(ord, peer)))
    questions = [tasks.question(4 * number + k) for k in range(4)]
    groups = [Group(question=one, completions=tuple(answer(one.answer, k) for k in range(4))) for one in questions]
    return Rollouts(peer_id=peer, round=number, stage=0, groups=tuple(groups))


def answer(right: str, k: int) -> Completion:
    return Completion(text=f"<think> </think> <answer> {right if k % 2 else 'no'} </answer>", finished=True)


class Swarm:
    """A Redis, one trainer after the other on one folder, and this test in the place of everybody else."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.client = folder, connect(url)
        self.queue, self.store = RedisQueue(self.client), RedisStore(self.client)
        own = {"REDIS_URL": url, "STATE_DIR": str(folder), "HTTP_PORT": "0", "OMP_NUM_THREADS": "1", "INSTANCE": "t"}
        environment = {**os.environ, **own, "CPU_ONLY": "true", "SOLO_AFTER_S": "600", "MODEL_NAME": "embedded"}
        with (folder / "trainer.log").open("wb") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-m", "tests.doomed"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.round = -1
        self.pid = 0

    def start(self, point: str = "", times: int = 1) -> asyncio.Future[int]:
        """A trainer's life; its exit code when it has ended."""
        self.parent.stdin.write(f"{point}\t{times}\n")
        self.parent.stdin.flush()
        self.pid = int(self.parent.stdout.readline())
        return asyncio.ensure_future(asyncio.to_thread(lambda: int(self.parent.stdout.readline())))

    async def open(self, *, final: bool = False) -> None:
        """The next round; the peers were quick."""
        self.round += 1
        for peer in (BOB, CAROL):
            await self.queue.publish(ROLLOUTS_PEER, rollouts_of(peer, self.round))
        now = time.time()
        await self.queue.publish(
            ROUNDS, Round(number=self.round, stage=0, opened_at=now, deadline=now + 600, swarm="s", final=final)
        )

    async def is_done(self) -> bool:
        """The open round's vote is there, as the coordinator would see it."""
        last = await self.queue.last(SUBMISSIONS)
        return last is not None and isinstance(last.message, Winners) and last.message.round == self.round

    async def lead(self, life: asyncio.Future[int]) -> int:
        """Open a round when one is done, until the trainer has ended."""
        while not life.done():
            if await self.is_done():
                await self.open()
            await asyncio.wait({life}, timeout=0.01)
        return life.result()

    async def kill_while(self, phase: str, delay_s: float) -> None:
        """The trainer dies so long after it has begun to do that."""
        began, now = time.time(), None
        while now is None or now.since < began or now.phase != phase:
            await asyncio.sleep(0.002)
            now = (await activities(self.store)).get(ALICE)
        await asyncio.sleep(delay_s)
        os.kill(self.pid, signal.SIGKILL)

    async def disturb(self) -> None:
        """If the open round's exchange is over, somebody's rollouts come too late for it."""
        page = next(self.folder.glob("checkpoints/*/*/round.json"), None)
        rounds = json.loads(page.read_text())["rounds"] if page else {}
        if rounds.get(f"{self.round}:0", {}).get("peers") is not None:
            await self.queue.publish(ROLLOUTS_PEER, rollouts_of(LATE, self.round))

    async def finish(self, rounds: int) -> None:
        """A trainer that is not killed plays the rest."""
        life = self.start()
        while self.round + 1 < rounds:
            while not await self.is_done():
                assert not life.done(), (self.folder / "trainer.log").read_text()
                await asyncio.sleep(0.005)
            await self.open(final=self.round + 2 == rounds)
        assert await life == 0

    async def sent(self, stream) -> dict[str, set[str]]:
        """By key, what was queued."""
        found = defaultdict(set)
        for entry in await self.queue.read(stream, limit=100_000):
            found[entry.message.key].add(entry.message.model_dump_json())
        return found

    async def lineage(self) -> dict[str, set[tuple[str, str]]]:
        """By round, the weights it made and those it was made from."""
        found = defaultdict(set)
        for entry in await self.queue.read(EVENTS, limit=100_000):
            if isinstance(entry.message, Trained):
                found[entry.message.key].add((entry.message.weights, entry.message.parent))
        return found

    def weights(self) -> str:
        return digest(sorted(self.folder.glob("checkpoints/*/*/0*/tensors.safetensors"))[-1])

    def end(self) -> None:
        self.parent.kill()
        self.parent.wait()


@pytest.fixture
def redis_pair(tmp_path):
    servers = []
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
        servers.append(RedisServer(tmp_path / name))
    yield servers
    for server in servers:
        server.kill()


def choose(random: Random) -> list[tuple[str, int]]:
    """Where each of the lives ends: every phase by the clock once, the rest at points that are written down."""
    named = random.sample(sorted(POINTS), KILLS - len(TIMED))
    chosen = [(point, random.choice((1, 1, 2))) for point in named] + [(phase, 0) for phase in TIMED]
    random.shuffle(chosen)
    return chosen


@pytest.mark.timeout(600)
async def test_a_trainer_killed_at_20_points_ends_with_the_same_weights_and_has_sent_the_same(tmp_path, redis_pair):
    seed = int(os.environ.get("KILL_SEED") or SystemRandom().randrange(2**31))
    random = Random(seed)
    print(f"KILL_SEED={seed}")
    killed, whole = (Swarm(server.folder, server.url) for server in redis_pair)
    began = time.monotonic()
    try:
        await put_hosted_peers(killed.store, [ALICE])
        await killed.open()
        for point, times in choose(random):
            life = killed.start(point if times else "", times)
            clock = asyncio.create_task(killed.kill_while(point, random.uniform(0, 0.1))) if not times else None
            assert await killed.lead(life) == -signal.SIGKILL, (point, (killed.folder / "trainer.log").read_text())
            print(f"{time.monotonic() - began:5.1f} s: killed in round {killed.round}: {point}")
            if clock:
                await clock
            await killed.disturb()
        rounds = killed.round + 3
        await killed.finish(rounds)

        await put_hosted_peers(whole.store, [ALICE])
        await whole.open()
        await whole.finish(rounds)
        print(f"{time.monotonic() - began:5.1f} s: {rounds} rounds")

        assert killed.weights() == whole.weights()
        lineage = await killed.lineage()
        assert lineage == await whole.lineage()
        assert len(lineage) == rounds and all(len(made) == 1 for made in lineage.values()), "a round trained twice"
        for stream in (SUBMISSIONS, ROLLOUTS_LOCAL):
            assert await killed.sent(stream) == await whole.sent(stream)
        sent = await killed.sent(SUBMISSIONS)
        assert len(sent) == 2 * rounds and all(len(contents) == 1 for contents in sent.values())
    finally:
        killed.end()
        whole.end()
        for swarm in (killed, whole):
            await swarm.queue.close()
