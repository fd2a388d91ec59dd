"""What a run has come to, folded from the household's LEDGER and EVENTS; both deliver at least once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from shared.messages import Event, Exchanged, Registration, Reward, Settled, Trained, Winners
from shared.queue import Queue
from shared.streams import EVENTS, LEDGER, Stream

T = TypeVar("T", Event, Settled)

_BATCH = 1_000


@dataclass
class History:
    """Every message once, by its key."""

    trained: dict[str, Trained] = field(default_factory=dict)
    exchanged: dict[str, Exchanged] = field(default_factory=dict)
    landed: dict[str, Settled] = field(default_factory=dict)

    def add(self, message: Event | Settled) -> None:
        """Take note of a message."""
        if isinstance(message, Trained):
            self.trained[message.key] = message
        elif isinstance(message, Exchanged):
            self.exchanged[message.key] = message
        elif isinstance(message, Settled) and message.outcome == "landed":
            self.landed[message.key] = message

    def rewards(self) -> list[tuple[Reward, Settled]]:
        """The rewards on the chain, by round and peer."""
        found = [(s.submission, s) for s in self.landed.values() if isinstance(s.submission, Reward)]
        return sorted(found, key=lambda pair: (pair[0].round, pair[0].stage, pair[0].peer_id))

    def winners(self) -> int:
        """The votes on the chain."""
        return sum(isinstance(settled.submission, Winners) for settled in self.landed.values())

    def peers(self) -> list[str]:
        """Every peer of this household that trained or is on the chain."""
        registered = {s.submission.peer_id for s in self.landed.values() if isinstance(s.submission, Registration)}
        rewarded = {reward.peer_id for reward, _ in self.rewards()}
        return sorted(registered | rewarded | {trained.peer_id for trained in self.trained.values()})


class Reader:
    """Keeps a history up to date with the streams."""

    def __init__(self, queue: Queue) -> None:
        self.history = History()
        self._queue = queue
        self._cursors: dict[str, str] = {}

    async def catch_up(self) -> None:
        """Read all that is new."""
        await self._read(LEDGER)
        await self._read(EVENTS)

    async def _read(self, stream: Stream[T]) -> None:
        more = True
        while more:
            entries = await self._queue.read(stream, self._cursors.get(stream.name, "0"), limit=_BATCH)
            for entry in entries:
                self.history.add(entry.message)
                self._cursors[stream.name] = entry.id
            more = len(entries) == _BATCH
