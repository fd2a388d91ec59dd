"""Finding the nodes that hold a key of the DHT, and what they hold, at little cost.

    bring    to the five nodes nearest to the key
    ask_one  any one of them, seven times                        one answer each
    search   all nodes near the key, and merge what they hold    many answers: finds what one kept back, or never got

Nobody is asked twice who is silent, and nobody is believed: what they hold has passed the gate.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgpack
from hivemind.dht.routing import DHTID
from hivemind.dht.storage import DictionaryDHTValue
from hivemind.dht.traverse import traverse_dht

BEAM = 16  # nodes near the key that a search asks
NEAR_BEAM = 10  # and whoever only wants to know which they are
HOLDERS, QUICK_READS = 5, 7  # the nearest hold a key; any one of them is asked, so often between two searches
MAX_KEYS = 64  # whose holders are remembered
Found = dict[str, tuple[float, bytes]]
"""Peer id -> expiration and value."""


class Lookup:
    """One node's way to keys; remembers for a while who holds which."""

    def __init__(self, dht: Any) -> None:
        self._dht = dht
        self._holders: dict[DHTID, tuple[tuple[Any, ...], int]] = {}  # key -> whom to ask, how often before a search

    async def ask_one(self, key_id: DHTID, found: Found) -> bool:
        """Ask one of those that should hold a key; False if it is silent, or it is time to search."""
        if key_id not in self._holders:
            self._hold(key_id, tuple((await self._near(key_id))[:HOLDERS]), QUICK_READS)
        peers, left = self._holders.pop(key_id)
        self._hold(key_id, peers, left - 1)
        if not peers or left <= 0:
            return False
        answer = await self._dht._call_find_with_blacklist(random.choice(peers), [key_id])
        if answer:
            merge(found, answer[key_id][0])
        return bool(answer)

    async def search(self, key_id: DHTID, found: Found, beam: int) -> None:
        """Ask all nodes near the key."""
        dht = self._dht
        nodes = dict(dht.protocol.routing_table.get_nearest_neighbors(key_id, beam, exclude=dht.node_id))
        sizes: dict[DHTID, int] = {}  # of what each node that answered holds

        async def ask(node: DHTID, keys: Sequence[DHTID]) -> dict[DHTID, tuple[tuple[DHTID, ...], bool]]:
            answer = await dht._call_find_with_blacklist(nodes[node], keys)
            if not answer:
                return {key_id: ((), False)}
            held, further = answer[key_id]
            sizes[node] = merge(found, held)
            nodes.update(further)
            return {key_id: (tuple(further), False)}

        if nodes:
            await traverse_dht([key_id], list(nodes), beam, 4, 1, ask, None, False, {key_id: {dht.node_id}})
        near = sorted(sizes, key=lambda node: (-sizes[node], key_id.xor_distance(node)))[:HOLDERS]
        self._hold(key_id, tuple(nodes[node] for node in near if 2 * sizes[node] >= sizes[near[0]]), QUICK_READS)

    def _hold(self, key_id: DHTID, peers: tuple[Any, ...], left: int) -> None:
        self._holders[key_id] = (peers, left)
        if len(self._holders) > MAX_KEYS:
            del self._holders[next(iter(self._holders))]

    async def bring(self, key_id: DHTID, packed: bytes, expiration: float, author: str) -> None:
        """To as many of the nodes nearest to the key as should hold it; where one is silent, to the next."""
        near, holders = await self._near(key_id), list[Any]()
        while near and len(holders) < HOLDERS:
            asked, near = near[: HOLDERS - len(holders)], near[HOLDERS - len(holders) :]
            store = self._dht.protocol.call_store
            answers = await asyncio.gather(*(store(one, [key_id], [packed], [expiration], [author]) for one in asked))
            holders += [one for one, answer in zip(asked, answers, strict=True) if answer is not None]
        if key_id not in self._holders:
            self._hold(key_id, tuple(holders), QUICK_READS)

    async def _near(self, key_id: DHTID) -> list[Any]:
        """The nodes nearest to a key. Asked by a key next to it: hivemind's answers would bring along what it holds."""
        beside = DHTID(int(key_id) ^ 1)
        found = await self._dht.find_nearest_nodes(
            [beside], k_nearest=NEAR_BEAM, beam_size=NEAR_BEAM, exclude_self=True
        )
        return list(found[beside].values())


def merge(found: dict[str, tuple[float, bytes]], held: Any) -> int:
    """Add what one holder has; how many records. The gate saw them: subkeys are peer ids, values msgpack bytes."""
    if held is None or not isinstance(held.value, DictionaryDHTValue):
        return 0
    records = list(held.value.items())
    for peer, (packed, expiration) in records:
        if peer not in found or found[peer][0] < expiration:
            found[peer] = (expiration, msgpack.unpackb(packed))
    return len(records)
