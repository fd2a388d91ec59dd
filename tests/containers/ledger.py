"""What a stack's rewards and weights came to, looked up on the chain itself and not in the household's own books."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from web3 import HTTPProvider, Web3

from shared.household import swarm_state
from shared.messages import Settled, Trained
from shared.queue import Queue
from shared.queue.redis import RedisQueue, RedisStore, connect
from shared.streams import EVENTS, LEDGER
from tests.containers.engine import ROOT
from tests.containers.stack import Stack

ABI = json.loads((ROOT / "contracts" / "artifacts" / "SwarmCoordinator.json").read_text())["abi"]
HAS_REWARD = "hasSubmittedRoundStageReward(uint256,uint256,string)"
EVENTS_KEPT = 2_000  # blocks; anvil forgets older events


@dataclass
class Audit:
    """The rounds that were trained since `since`, and what became of their rewards and weights."""

    trained: list[Trained]
    missing: int  # trained rounds without a reward on the chain
    doubled: int  # rewards that the chain has more than once
    broken: int  # checkpoints that were not made from the one before


@dataclass
class Books:
    """A reader of the household's streams that never forgets what it saw."""

    stack: Stack
    trained: set[tuple[int, str, str]] = field(default_factory=set)  # (round, peer, weights): a repetition is the same
    order: list[Trained] = field(default_factory=list)  # as they came, repetitions of one round left out
    landed: set[str] = field(default_factory=set)
    cursors: dict[str, str] = field(default_factory=dict)
    contract: str = ""
    round: int = 0  # that is open on the chain

    def update(self) -> None:
        """Read what is new. Raises OSError or RedisError while Redis is away."""
        asyncio.run(self._update())

    async def _update(self) -> None:
        client = connect(self.stack.redis_url(), self.stack.redis_password(), retries=2)
        queue = RedisQueue(client)
        try:
            state = await swarm_state(RedisStore(client))
            if state is not None:
                self.contract, self.round = state.contract, state.round
            for trained in await self._new(queue, EVENTS):
                if isinstance(trained, Trained):
                    self._note(trained)
            for settled in await self._new(queue, LEDGER):
                if isinstance(settled, Settled) and settled.outcome == "landed":
                    self.landed.add(settled.submission.key)
        finally:
            await queue.close()

    async def _new(self, queue: Queue, stream: Any) -> list[Any]:
        """Entries not seen yet. A Redis that lost its end may hand out an id twice: messages are told by their keys."""
        found: list[Any] = []
        while entries := await queue.read(stream, self.cursors.get(stream.name, "0")):
            self.cursors[stream.name] = entries[-1].id
            found += [entry.message for entry in entries]
        return found

    def _note(self, trained: Trained) -> None:
        key = (trained.round, trained.peer_id, trained.weights)
        if key not in self.trained:
            self.order.append(trained)
        self.trained.add(key)

    def peers(self) -> set[str]:
        """All that ever trained here."""
        return {trained.peer_id for trained in self.order}

    def audit(self, since: int) -> Audit:
        """Check the rounds trained since `order` had that length; all of them on the chain as it is now."""
        new = self.order[since:]
        contract = self._contract()
        has = contract.get_function_by_signature(HAS_REWARD)
        missing = sum(not has(one.round, one.stage, one.peer_id).call() for one in new)
        return Audit(new, missing, self._doubled(contract), self._broken(since))

    def _contract(self) -> Any:
        web3 = Web3(HTTPProvider(f"http://{self.stack.ip('chain')}:8545", request_kwargs={"timeout": 10}))
        return web3.eth.contract(Web3.to_checksum_address(self.contract), abi=ABI)

    @staticmethod
    def _doubled(contract: Any) -> int:
        head = contract.w3.eth.block_number
        logs = contract.events.RewardSubmitted().get_logs(from_block=max(0, head - EVENTS_KEPT))
        counted = Counter((one["args"]["peerId"], one["args"]["roundNumber"]) for one in logs)
        return sum(count - 1 for count in counted.values())

    def _broken(self, since: int) -> int:
        last: dict[str, str] = {}
        broken = 0
        for index, one in enumerate(self.order):
            if index >= since and one.peer_id in last and last[one.peer_id] != one.parent:
                broken += 1
            last[one.peer_id] = one.weights or one.parent  # no checkpoint: the next one is made from the same
        return broken
