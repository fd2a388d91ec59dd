"""Is the swarm in one piece? Compares who is heard of here with who trains by the chain's word, and mends.

    HISTORY (chain) --> Roll: who had a reward lately ---+
                                                         +--> missing? --> seek some of them by name
    sightings, routing tables: whom we have heard of ----+                    | not found, twice
                                                                              v
                                                      told; all addresses are tried again at once

The chain is one even where the network is two: both halves put their rewards on it. Without a chain nothing is told.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable

from services.p2p.network.protocol import PeerNetwork
from shared.messages import Reward
from shared.queue import Queue
from shared.streams import HISTORY

LATELY = 2  # rounds before the open one: who has a reward for one of them trains
ASKED = 8  # missing peers looked for at a time, chosen at random
MAX_PEERS = 4_096


class Roll:
    """Who trains, as the chain tells it since this service was started."""

    def __init__(self, queue: Queue) -> None:
        self._queue, self._cursor = queue, ""
        self._rounds: OrderedDict[str, int] = OrderedDict()  # peer -> last round with a reward

    async def read_on(self) -> None:
        """Take in what is new."""
        if not self._cursor:
            newest = await self._queue.last(HISTORY)
            self._cursor = newest.id if newest else "0"
        while entries := await self._queue.read(HISTORY, self._cursor):
            self._cursor = entries[-1].id
            for entry in entries:
                if isinstance(reward := entry.message.submission, Reward):
                    self._rounds[reward.peer_id] = reward.round
                    self._rounds.move_to_end(reward.peer_id)
            while len(self._rounds) > MAX_PEERS:
                self._rounds.popitem(last=False)

    def training(self, round_number: int) -> frozenset[str]:
        """Peers with a reward for one of the last rounds."""
        recent = range(round_number - LATELY, round_number + 1)
        return frozenset(peer for peer, number in self._rounds.items() if number in recent)


class Unity:
    """Finds out whether peers are out of reach."""

    def __init__(self, queue: Queue, network: PeerNetwork) -> None:
        self._roll, self._network = Roll(queue), network
        self._suspects: frozenset[str] = frozenset()  # not found at the last look

    async def lost(self, round_number: int, connected: Iterable[str]) -> tuple[frozenset[str], int]:
        """Peers that train and were not found twice in a row, and how many train in all, ours left out."""
        await self._roll.read_on()
        training = self._roll.training(round_number) - set(self._network.hosted)
        missing = training - set(connected) - self._network.sightings.linked(round_number)
        asked = sorted(missing & self._suspects) or sorted(missing)
        found_not = await self._network.seek(random.sample(asked, min(ASKED, len(asked)))) if asked else set()
        lost, self._suspects = frozenset(found_not & self._suspects), frozenset(found_not)
        return lost, len(training)
