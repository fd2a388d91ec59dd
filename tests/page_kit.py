"""What the other services of a household would write for the page, and the page's own service in a process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from shared.exams import put_exam_board
from shared.household import (
    Activity,
    PeerNote,
    ServiceState,
    put_activity,
    put_hosted_peers,
    put_peer_notes,
    put_service_state,
    put_swarm_state,
)
from shared.messages import Attempt, Exchanged, Heard, Judged, Registration, Reward, Round, Settled, Trained, Winners
from shared.queue.redis import MESSAGE, RedisQueue, RedisStore, connect
from shared.streams import EVENTS, HISTORY, LEDGER, ROUNDS, Stream
from tests.page_messages import (
    DATASETS,
    OTHERS,
    PASSPHRASE,
    PEERS,
    TASKS,
    exam_board,
    landed,
    notes,
    put_market,
    recorded,
    sampled,
    state,
    swarm,
)


class Bulk(RedisQueue):
    """Keeps what is published, and writes all of it at once: a redis-server that syncs every write takes its time."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.client, self.kept = client, list[tuple[str, str]]()

    async def publish(self, stream: Stream[Any], message: Any) -> None:
        self.kept.append((stream.name, stream.encode(message)))

    async def flush(self) -> None:
        async with self.client.pipeline(transaction=False) as pipe:
            for name, text in self.kept:
                pipe.xadd(name, {MESSAGE: text})
            await pipe.execute()


class Household:
    """What the other services would write, from this one place."""

    def __init__(self, url: str) -> None:
        self.url, self.random = url, random.Random(7)

    def __call__(self, act: Any, *arguments: Any, **named: Any) -> None:
        async def once() -> None:
            client = connect(self.url)
            try:
                queue = Bulk(client)
                await act(self, queue, RedisStore(client), *arguments, **named)
                await queue.flush()
            finally:
                await client.aclose()

        with ThreadPoolExecutor(1) as other:  # playwright's own loop runs in this thread
            other.submit(asyncio.run, once()).result()

    async def services(self, queue: RedisQueue, store: RedisStore) -> None:
        for service in ("coordinator", "identity", "judge"):
            lost = {"chain": "connection refused"} if service == "coordinator" else {}
            await put_service_state(store, state(service, "one", lost))
        addresses = f"/ip4/127.0.0.1/tcp/38331/p2p/{PEERS[0]} /dns4/meadow.example/tcp/38331/p2p/{PEERS[0]}"
        await put_service_state(store, state("p2p", "one", {}, addresses=addresses))
        for place, peer in enumerate(PEERS):
            facts = {"peer": peer, "model": "Qwen/Qwen3-0.6B", "device": f"cuda:{place}", "parameters": 596_049_920}
            lost = {"judge": "no answer within 5 s"} if place == 2 else {}
            await put_service_state(store, state("trainer", f"trainer-{place}", lost, starts=1 + place, **facts))
            phase = ("sampling", "exchanging", "learning")[place]
            await put_activity(store, peer, Activity(phase=phase, round=141, since=time.time()))
        await put_hosted_peers(store, PEERS)
        await put_peer_notes(store, notes())
        await put_exam_board(store, exam_board())
        await put_market(store)

    async def report(self, store: RedisStore, told: ServiceState) -> None:
        await put_service_state(store, told)

    async def rumour(self, store: RedisStore, peer: str, reason: str) -> None:
        bad = PeerNote(peer_id=peer, round=6, accepted=1, rejected={reason: 7}, quarantined=True, reason=reason)
        await put_peer_notes(store, [*notes(), bad])

    async def round(self, queue: RedisQueue, store: RedisStore, number: int, seconds: float = 60.0) -> None:
        now = time.time()
        await queue.publish(ROUNDS, Round(number=number, stage=0, opened_at=now - 18, deadline=now - 18 + seconds))

    async def trained(self, queue: RedisQueue, store: RedisStore, number: int) -> None:
        for place, peer in enumerate(PEERS):
            event = self.step(place, peer, number)
            await queue.publish(EVENTS, event)
            reward = Reward(peer_id=peer, round=number, stage=0, points=round(event.mean_reward * 1000))
            await queue.publish(LEDGER, landed(reward, number))
            await queue.publish(HISTORY, recorded(reward, number))

    def step(self, place: int, peer: str, number: int) -> Trained:
        skill = min(0.97, max(0.03, 0.16 + 0.62 * (1 - 0.975 ** (number + 4 * place)) + self.random.gauss(0, 0.045)))
        seconds = {"generate": 2.1, "exchange": 0.9, "update": 3.3, "checkpoint": 0.14}
        rewards = tuple(
            tuple(float(self.random.random() < skill + shift) for _ in range(8)) for shift in (-0.15, 0.0, 0.05, 0.1)
        )
        heard = self.random.sample(OTHERS[:10], min(6, number)) if number else []
        return Trained(
            at=time.time() - 4 - 9.0 * (140 - number),
            peer_id=peer,
            round=number,
            stage=0,
            mean_reward=sum(map(sum, rewards)) / 32,
            loss=0.02 + self.random.gauss(0, 0.004),
            gradient_norm=0.7,
            local_groups=4,
            external_groups=min(4, number // 3) if place else 3,
            completion_tokens=round(32 * (210 - 60 * skill + self.random.gauss(0, 6))),
            seconds={phase: value * self.random.uniform(0.6, 1.5) for phase, value in seconds.items()},
            seen_peers=min(6, number),
            datasets=DATASETS,
            rewards=rewards,
            heard={peer: self.heard(peer) for peer in heard},
        )

    def heard(self, peer: str) -> Heard:
        good = OTHERS.index(peer) / 14
        return Heard(groups=4, informative=self.random.randint(1, 4), mean_reward=0.15 + 0.6 * good)

    async def shown(self, queue: RedisQueue, store: RedisStore, number: int) -> None:
        for place, author in enumerate((PEERS[0], OTHERS[number % 5], PEERS[1])):
            dataset, question, answer, texts = TASKS[(number + place) % len(TASKS)]
            attempts = [Attempt(text=text, reward=1.0 if f"<answer>{answer}<" in text else 0.05) for text in texts]
            reader = author if author in PEERS else PEERS[2]
            await queue.publish(EVENTS, sampled(reader, author, number, dataset, question, answer, attempts))
        for place, peer in enumerate(PEERS):
            score = float(self.random.random() < 0.3 + 0.2 * place)
            await queue.publish(EVENTS, Judged(at=time.time(), peer_id=peer, round=number, score=score))

    async def exchanged(self, queue: RedisQueue, store: RedisStore, number: int) -> None:
        rejected = {"bad_signature": 1, "late": 2} if number % 9 == 0 else {}
        event = Exchanged(
            at=time.time(), round=number, bytes_sent=181_000, bytes_received=266_000, accepted=5, rejected=rejected
        )
        await queue.publish(EVENTS, event)
        vote = Winners(peer_id=PEERS[number % 3], round=number, winners=tuple(self.random.sample([*PEERS, *OTHERS], 2)))
        await queue.publish(LEDGER, landed(vote, number))
        await queue.publish(HISTORY, recorded(vote, number))

    async def others(self, queue: RedisQueue, store: RedisStore, number: int) -> None:
        for place, peer in enumerate(OTHERS):
            if self.random.random() < 0.9:
                points = 120 + round(560 * (1 - 0.985 ** (number + 3 * place)) + self.random.gauss(0, 40))
                await queue.publish(
                    HISTORY, recorded(Reward(peer_id=peer, round=number, stage=0, points=points), number)
                )

    async def chain(self, queue: RedisQueue, store: RedisStore, number: int, **changes: Any) -> None:
        await put_swarm_state(store, swarm(number, **changes))

    async def history(self, queue: RedisQueue, store: RedisStore, rounds: int) -> None:
        for peer in PEERS:
            await queue.publish(LEDGER, landed(Registration(peer_id=peer), 0))
        for number in range(1, rounds):
            await self.trained(queue, store, number)
            await self.exchanged(queue, store, number)
            await self.others(queue, store, number)
        for number in range(max(1, rounds - 9), rounds):
            await self.shown(queue, store, number)
        refused = Reward(peer_id=PEERS[1], round=rounds + 50, stage=0, points=430)
        settled = Settled(
            submission=refused, outcome="refused", transaction=None, block=None, reason="InvalidRoundNumber"
        )
        await queue.publish(LEDGER, settled)
        await self.trained(queue, store, rounds)
        await self.chain(queue, store, rounds)
        await self.services(queue, store)
        await self.round(queue, store, rounds + 1)


@contextlib.contextmanager
def identity(redis_url: str, port: int, folder: Path, **environment: str) -> Iterator[str]:
    """The real service in a process of its own, its key opened by a passphrase file; ends with 0."""
    passphrase = folder / "passphrase"
    passphrase.write_text(f"{PASSPHRASE}\n")
    env = os.environ | {
        "REDIS_URL": redis_url,
        "IDENTITY_PORT": str(port),
        "SIGNER_PORT": "0",
        "SWARM_NAME": "meadow",
        "STATE_DIR": str(folder / "state"),
        "IDENTITY_PASSPHRASE_FILE": str(passphrase),
        **environment,
    }
    site = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "services.identity", "+kdf=fast"], env=env) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{site}/favicon.ico").raise_for_status()
                break
            time.sleep(0.1)
        try:
            yield site
        finally:
            process.terminate()
            code = process.wait(15)
    assert code == 0
