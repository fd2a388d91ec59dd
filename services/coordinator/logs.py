"""The contract's event logs: who voted, where a submission landed, and the whole history. Loaded only by web3_chain.

Anybody may write into the contract: what stands in a log is a stranger's word until it has passed the message types.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.coordinator.abi import Interface, word
from services.coordinator.chain import Chapter, Place
from services.coordinator.rpc import Request, Rpc
from shared.messages import Recorded, Registration, Reward, Submission, Winners

SPAN = 1_000  # blocks in one question for logs: public nodes refuse wide ones
BACK = 5_000  # blocks back that a first question for logs goes
SEEN_BOUND = 16  # rounds and stages whose peers are remembered
EVENTS = ("PeerRegistered", "RewardSubmitted", "WinnerSubmitted")

Topics = Sequence[str | list[str] | None]


@dataclass
class _Seen:
    """The peers found in logs so far."""

    peers: set[str] = field(default_factory=set)
    block: int | None = None  # the last one looked at


class Logs:
    """Reads them. Every call raises ChainError."""

    def __init__(self, rpc: Rpc, interface: Interface) -> None:
        self._rpc, self._interface = rpc, interface
        self._seen: dict[tuple[Any, ...], _Seen] = {}

    def forget(self) -> None:
        """The chain or the contract is another."""
        self._seen.clear()

    async def between(self, address: str, topics: Topics, first: int, last: int) -> list[dict[str, Any]]:
        """The logs of a contract in these blocks, both included, in order."""
        asked: list[Request] = [
            (
                "eth_getLogs",
                [{"address": address, "topics": list(topics), "fromBlock": hex(low), "toBlock": hex(high)}],
            )
            for low, high in ((low, min(low + SPAN - 1, last)) for low in range(first, last + 1, SPAN))
        ]
        return [log for logs in await self._rpc.sure(asked) for log in logs]

    async def peers(self, address: str, event: str, numbers: tuple[int, ...], head: int) -> frozenset[str]:
        """The peers of an event with these indexed numbers, up to block `head`; each block is read once."""
        seen = self._seen.setdefault((event, *numbers), _Seen())
        first = max(0, head - BACK) if seen.block is None else seen.block + 1
        topics = [self._interface.topic(event), None, *map(word, numbers)]
        for log in await self.between(address, topics, first, head):
            if (peer := self._peer(event, log)) is not None:
                seen.peers.add(peer)
        seen.block = head
        while len(self._seen) > SEEN_BOUND:
            del self._seen[next(iter(self._seen))]
        return frozenset(seen.peers)

    def _peer(self, event: str, log: dict[str, Any]) -> str | None:
        try:
            return str(self._interface.fields(event, log)["peerId"])
        except ValueError:
            return None

    async def history(self, address: str, since: Place | None, blocks: int) -> Chapter | None:
        """See `Chain.history`."""
        known = hex(since.block if since else 0)
        newest, there = await self._rpc.sure([("eth_blockNumber", []), ("eth_getBlockByNumber", [known, False])])
        if since is not None and (there or {}).get("hash") != since.hash:
            return None
        first, newest = since.block + 1 if since else 0, int(newest, 16)
        if since is not None and first > newest:
            return Chapter((), 0, since, complete=True)
        last = min(newest, first + blocks - 1)
        before = await self._place(last)
        topics = {self._interface.topic(event): event for event in EVENTS}
        logs = await self.between(address, [list(topics)], first, last)
        if before is None or before != await self._place(last):
            return None  # the chain went back while we read
        recorded = [one for log in logs if (one := self._recorded(topics[log["topics"][0]], log)) is not None]
        return Chapter(tuple(recorded), len(logs) - len(recorded), before, complete=last == newest)

    async def _place(self, block: int) -> Place | None:
        (found,) = await self._rpc.sure([("eth_getBlockByNumber", [hex(block), False])])
        return Place(block, found["hash"]) if found else None

    def _recorded(self, event: str, log: dict[str, Any]) -> Recorded | None:
        """What a log says; None if it is nothing that a peer of this swarm would say."""
        try:
            numbers = [int(topic, 16) for topic in log["topics"][2:]]
            return Recorded(
                submission=_submission(event, numbers, self._interface.fields(event, log)),
                account="0x" + log["topics"][1][-40:],
                transaction=log["transactionHash"],
                block=int(log["blockNumber"], 16),
            )
        except ValueError:  # pydantic's too
            return None


def _submission(event: str, numbers: list[int], fields: dict[str, Any]) -> Submission:
    """Raises ValueError."""
    peer = fields["peerId"]
    if event == "PeerRegistered":
        return Registration(peer_id=peer)
    if event == "RewardSubmitted":
        return Reward(peer_id=peer, round=numbers[0], stage=numbers[1], points=fields["reward"])
    return Winners(peer_id=peer, round=numbers[0], winners=tuple(fields["winners"]))
