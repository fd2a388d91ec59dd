"""Sends an account's transactions: nonces counted here, raw and signed, in batches, receipts checked.

    calls --gas price, nonce, sign--> of each portion: all but the first --> the first --> receipts
                                                         (the node's pool)   (sets them off)

The first nonce of a portion goes last. A node that mines each transaction at once (anvil) otherwise races with itself:
a transaction that arrives in the moment its predecessor is mined waits for it for ever. Sent this way, they all lie
ready when the first one comes. For the same reason such a node is through with a portion before it gets the next; one
that collects transactions for its next block gets all portions one behind the other. A portion is no larger than what
a node holds of one account before it knows the first (geth: 64), and fits into one block, or a node that mines at once
would leave the rest lying. All are through before `send` is called again, and so the node always knows the nonce.

The caller repeats after looking at what has landed, so nothing here is repeated blindly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.coordinator.chain import ChainError
from services.coordinator.rpc import Request, Rpc, RpcError
from services.coordinator.signer import Signed, Signer, SignerError

GAS_MARGIN = 1.5  # over the node's estimate: transactions of the same batch change the storage it was made on
BUMP, BUMP_CAP = 1.25, 4.0  # on the gas price, after a failure; nodes ask for 1.1 to replace a transaction
PORTION = 50  # transactions
AT_ONCE_S, LOOKS = 0.5, 2  # a node that has mined each of the first portions within this mines at once
ATTEMPTS = 4  # to look for receipts
WAIT_S, WAIT_CAP_S = 0.01, 0.5  # between two looks for receipts, growing
THERE = ("already known", "already imported")  # what nodes say of a transaction they have


@dataclass(frozen=True)
class Transaction:
    """A transaction to sign. `to` None: it puts a contract on the chain."""

    to: str | None
    data: str
    gas: int  # the node's estimate


class Sender:
    """One account's transactions."""

    def __init__(self, rpc: Rpc, signer: Signer, timeout_s: float) -> None:
        self._rpc, self._signer, self._timeout_s = rpc, signer, timeout_s
        self._account = signer.address
        self._chain = 0  # grows when the chain turns out to be another one
        self._bump = 1.0
        self._lock = asyncio.Lock()  # the clock and the submitter share the nonces

    def forget(self) -> None:
        """The chain is not the one it was: nothing in flight will land."""
        self._chain += 1

    async def send(self, transactions: Sequence[Transaction]) -> list[dict[str, Any]]:
        """Send all, and give their receipts. Raises ChainError; some may have landed then."""
        if not transactions:
            return []
        async with self._lock:
            try:
                receipts = await self._send(transactions)
            except SignerError:  # nothing was sent
                raise
            except ChainError:
                self._bump = min(self._bump * BUMP, BUMP_CAP)
                raise
            self._bump = 1.0
            return receipts

    async def _send(self, transactions: Sequence[Transaction]) -> list[dict[str, Any]]:
        chain = self._chain
        signed, room = await self._signed(transactions)
        at_once, start = True, 0
        for number, stop in enumerate(ends([_offered(one) for one in transactions], room)):
            await self._hand_in(signed[start:stop])
            if at_once and stop < len(signed):
                # The first may have come just before a block that was due; the second then waits for a whole one.
                wait_s = AT_ONCE_S if number < LOOKS else self._timeout_s
                at_once = await self._mined(signed[stop - 1].hash, wait_s)
            start = stop
        return await self._receipts([one.hash for one in signed], chain)

    async def _hand_in(self, portion: Sequence[Signed]) -> None:
        first, *rest = [("eth_sendRawTransaction", [one.raw]) for one in portion]
        # The first goes even if others are refused: what lies in their place then, left by a process that died, is ours
        # too, and moves on.
        self._check([*await self._rpc.ask(rest), *await self._rpc.ask([first])])

    async def _mined(self, hash_: str, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while True:
            if (found := await self._there([hash_])) or time.monotonic() > until:
                return bool(found)
            await asyncio.sleep(WAIT_S)

    async def _there(self, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The receipts that there are, by hash. A node that does not answer says nothing of what it has: ask again."""
        for attempt in range(ATTEMPTS):
            try:
                answers = await self._rpc.sure([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes])
                return {hash_: receipt for hash_, receipt in zip(hashes, answers, strict=True) if receipt}
            except ChainError:
                if attempt + 1 == ATTEMPTS:
                    raise
                await asyncio.sleep(WAIT_CAP_S)
        return {}

    async def _signed(self, transactions: Sequence[Transaction]) -> tuple[list[Signed], int]:
        """The transactions, and how much gas a block has."""
        # Nothing of ours is in flight, so the latest block knows the nonce; a transaction that got stuck, or was left
        # by a process that died, is replaced: a second advance beside the first would skip a round.
        latest = "latest"
        asked: list[Request] = [("eth_gasPrice", []), ("eth_getTransactionCount", [self._account, latest])]
        asked += [("eth_chainId", []), ("eth_getBlockByNumber", [latest, False])]
        price, count, chain_id, block = await self._rpc.sure(asked)
        shared = {"value": 0, "gasPrice": int(int(price, 16) * self._bump), "chainId": int(chain_id, 16)}
        filled = [_fill(one, int(count, 16) + index) | shared for index, one in enumerate(transactions)]
        return await self._signer.sign(filled), int(block["gasLimit"], 16)

    def _check(self, answers: Sequence[Any]) -> None:
        """Raises ChainError for the first transaction the node did not take."""
        for answer in answers:
            if isinstance(answer, RpcError) and not any(words in answer.message.lower() for words in THERE):
                raise ChainError(f"the chain takes no transaction of ours: {answer.message}", self._remedy(answer))

    def _remedy(self, answer: RpcError) -> str:
        if "insufficient funds" in answer.message.lower():
            return f"send some of the chain's coin to {self._account}"
        return "it is tried again by itself"

    async def _receipts(self, hashes: Sequence[str], chain: int) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        until, wait_s = time.monotonic() + self._timeout_s, WAIT_S
        while True:
            found |= await self._there([hash_ for hash_ in hashes if hash_ not in found])
            if len(found) == len(set(hashes)):
                return [found[hash_] for hash_ in hashes]
            if chain != self._chain:
                raise ChainError("the chain went back while transactions were on their way", "they are sent again")
            if time.monotonic() > until:
                raise ChainError(
                    f"{len(hashes) - len(found)} transactions were not mined within {self._timeout_s:.0f} s",
                    "they are sent again at a higher gas price",
                )
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, WAIT_CAP_S)


def ends(gas: Sequence[int], room: int) -> list[int]:
    """Where portions of transactions that offer so much gas end: of `PORTION` at most, and `room` for all of one."""
    found, start = list[int](), 0
    for stop in range(1, len(gas) + 1):
        full = stop - start == PORTION or sum(gas[start : stop + 1]) > room
        if full or stop == len(gas):
            found.append(stop)
            start = stop
    return found


def _offered(transaction: Transaction) -> int:
    return int(transaction.gas * GAS_MARGIN)


def _fill(transaction: Transaction, nonce: int) -> dict[str, Any]:
    to = {} if transaction.to is None else {"to": transaction.to}
    return {"gas": _offered(transaction), "nonce": nonce, "data": transaction.data, **to}
