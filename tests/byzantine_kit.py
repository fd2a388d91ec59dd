"""Honest households, with real trainers of the embedded model, among peers that do not play fair, in one process.

honest     trainer --> outbox --> World (DHT and bodies in memory) --> inbox --> trainer
malicious  one of each kind, with an identity and a network of its own: what it announces is well signed
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import fmean

from services.p2p.exchange import exchange
from services.p2p.network.memory import MemoryNetwork, World
from services.p2p.network.protocol import NetworkError
from services.p2p.trust.gate import Gate
from services.p2p.wire.announcement import authentic, sign
from services.p2p.wire.buckets import Place
from services.p2p.wire.packing import pack, unpack
from services.p2p.wire.rejection import Rejected
from services.p2p.wire.validation import body_of, validate
from services.trainer.games.tasks import Tasks
from services.trainer.loop import Trainer
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.household import LEASE, PeerNote, peer_notes
from shared.messages import Completion, Group, Rollouts, Round, Trained
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import EVENTS, ROUNDS
from shared.tasks import seed_of
from tests.hostile_kit import Bodies
from tests.p2p_kit import SWARM, announcement_of, identity, settings_of

ROUND_S = 30.0  # until a round's deadline
TURN_S = 0.1  # between two deeds of a malicious peer


class Honest:
    """A household of one peer that trains."""

    def __init__(self, world: World, folder: Path, name: str, seed: int, external: int) -> None:
        self.identity = identity(name)
        self.peer = self.identity.peer_id
        self.context = Context(MemoryQueue(), MemoryStore(), Health("p2p", name, 60))
        self._settings = settings_of(
            folder / name, poll_s=0.25, seed=seed, quarantine={"budget": 2, "half_life_s": 600}
        )
        gate = Gate(SWARM, time.time)
        self.network = MemoryNetwork(world, SWARM, [self.peer], gate)
        self._parts = exchange(self._settings, self.context, self.network, [self.identity], gate)
        told = {
            "policy.model": "embedded", "policy.cpu_only": True, "policy.threads": 1, "seed": seed,
            "state_dir": folder / name, "checkpoint_every": 10_000, "exchange_patience_s": 2.0,
            "learner.external_groups": external,
        }  # fmt: skip
        settings = load("trainer", TrainerSettings, [f"{key}={value}" for key, value in told.items()])
        self.trainer = Trainer(settings, self.context, self.peer)

    async def start(self) -> None:
        await self.context.store.hold(LEASE + self.peer, "one", ttl_s=10_000)
        self.task = asyncio.create_task(self._parts)

    async def stop(self) -> None:
        self.context.stop.set()
        await asyncio.wait_for(self.task, 10)

    async def play(self, number: int) -> None:
        now = time.time()
        round_ = Round(number=number, stage=0, opened_at=now, deadline=now + ROUND_S)
        await self.context.queue.publish(ROUNDS, round_)
        await self.trainer.play(round_)

    async def trained(self) -> list[Trained]:
        events = [entry.message for entry in await self.context.queue.read(EVENTS, limit=10_000)]
        return [event for event in events if isinstance(event, Trained)]

    async def notes(self) -> dict[str, PeerNote]:
        return {note.peer_id: note for note in await peer_notes(self.context.store)}


class Malicious:
    """A peer that does as it likes in each round; what it announces is well signed."""

    def __init__(self, world: World, name: str, seed: int) -> None:
        self.world, self.identity, self.seed = world, identity(name), seed
        self.peer = self.identity.peer_id
        self.network = MemoryNetwork(world, SWARM, [self.peer], Gate(SWARM, time.time))
        self.bodies: dict[str, bytes] = {}
        self.network.serve(lambda digest, remote: self.bodies.get(digest))
        self.random = Random(name)

    async def live(self, rounds: list[int]) -> None:
        """Until it is cancelled; `rounds`: those that were opened."""
        while True:
            if rounds:
                await self.turn(rounds[-1])
            await asyncio.sleep(TURN_S)

    async def turn(self, number: int) -> None:
        """What it does in a round, again and again."""

    def announce(self, body: bytes, number: int, **changes: object) -> None:
        told = announcement_of(self.identity, body, number, **changes)
        self.bodies = {told.sha256: pack(body)}
        for key in told.keys:
            self.network.write(key, self.peer, sign(told, self.identity), told.expires)

    def send(self, rollouts: Rollouts) -> None:
        self.announce(body_of(rollouts), rollouts.round, groups=len(rollouts.groups), informative=rollouts.informative)


class Rubbish(Malicious):
    """Bodies that are none, another every time."""

    def __init__(self, *told: object) -> None:
        super().__init__(*told)
        self.made = iter(Bodies(self.seed, "rubbish"))

    async def turn(self, number: int) -> None:
        kind, body, _ = next(self.made)
        if kind not in ("size", "depth"):  # the fuzz has those
            self.announce(body, number)


class Forger(Malicious):
    """Answers its own questions wrongly, and says that this is right."""

    def __init__(self, *told: object) -> None:
        super().__init__(*told)
        self.tasks = Tasks(load("trainer", TrainerSettings, []).data, seed_of(self.seed, self.peer))
        self.done = -1

    async def turn(self, number: int) -> None:
        if number == self.done:
            return
        self.done, groups = number, []
        for place in range(8):
            question = self.tasks.question(8 * number + place)
            wrong = f"{question.answer}7"
            question = question.model_copy(update={"answer": wrong})
            texts = [f"<answer>{wrong if n % 2 else n}</answer>" for n in range(8)]
            completions = tuple(Completion(text=text, finished=True) for text in texts)
            groups.append(Group(question=question, completions=completions))
        self.send(Rollouts(peer_id=self.peer, round=number, stage=0, groups=tuple(groups), informative=8))


class Copier(Malicious):
    """Sends as its own what it finds of others, as fast as it can."""

    def __init__(self, *told: object) -> None:
        super().__init__(*told)
        self.done = -1

    async def turn(self, number: int) -> None:
        for peer, value in (await self.network.announcements(Place(number, 0))).items():
            if peer == self.peer or number == self.done:
                continue
            try:
                told = authentic(value, peer)
                body = unpack(await self.network.fetch(peer, told.sha256), told.size)
                found = validate(body, told, limit=2**20)
            except (NetworkError, Rejected):
                continue
            self.done = number
            self.send(found.model_copy(update={"peer_id": self.peer}))


class Flood(Malicious):
    """Records by the hundred, and bodies that never end."""

    def __init__(self, *told: object) -> None:
        super().__init__(*told)
        self.done = -1

    async def turn(self, number: int) -> None:
        key = Place(number, 0).key(SWARM)
        for _ in range(0 if number == self.done else 300):  # real holders would keep none of them
            subkey = self.random.choice((self.random.randbytes(8).hex(), "Qm" + self.random.randbytes(22).hex()))
            self.network.write(key, subkey, self.random.randbytes(200), self.random.choice((1e12, time.time() + 60)))
        self.done = number
        self.announce(b"x" * 5 * 2**20, number, size=self.random.randrange(1, 2**20))


KINDS = {"rubbish": Rubbish, "forger": Forger, "copier": Copier, "flood": Flood}


@dataclass
class Story:
    """What came of a swarm."""

    honest: list[Honest]
    malicious: dict[str, str]  # kind -> peer id
    trained: dict[str, list[Trained]] = field(default_factory=dict)  # by honest peer
    notes: dict[str, dict[str, PeerNote]] = field(default_factory=dict)

    @property
    def reward(self) -> float:
        """Mean over the rounds and the honest peers."""
        return fmean(event.mean_reward for events in self.trained.values() for event in events)

    def late_reward(self, rounds: int) -> float:
        """Of the last rounds only."""
        return fmean(event.mean_reward for events in self.trained.values() for event in events[-rounds:])

    def heard(self, kinds: Iterable[str]) -> int:
        """Groups of malicious peers that honest ones found good to learn from."""
        peers = {self.malicious[kind] for kind in kinds}
        told = [event.heard for events in self.trained.values() for event in events]
        return sum(heard.groups for one in told for peer, heard in one.items() if peer in peers)


async def play(folder: Path, *, honest: int, kinds: Sequence[str], rounds: int, seed: int, external: int = 4) -> Story:
    """A swarm from its first round to its last."""
    world = World()
    households = [Honest(world, folder, f"honest{n}", seed, external) for n in range(honest)]
    strangers = {kind: KINDS[kind](world, kind, seed) for kind in kinds}
    opened: list[int] = []
    lives = [asyncio.create_task(one.live(opened)) for one in strangers.values()]
    for one in households:
        await one.start()
    try:
        for number in range(1, rounds + 1):
            opened.append(number)
            await asyncio.gather(*(one.play(number) for one in households))
            assert not any(life.done() for life in lives), [life for life in lives if life.done()]
    finally:
        for life in lives:
            life.cancel()
        for one in households:
            await one.stop()
    story = Story(households, {kind: one.peer for kind, one in strangers.items()})
    for one in households:
        story.trained[one.peer], story.notes[one.peer] = await one.trained(), await one.notes()
    return story
