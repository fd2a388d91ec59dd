"""Signs what the coordinator asks for: one request at a time, each against the rules, each on record before it leaves.

request --key at hand?--> rate --> policy.check --> vault.sign --> book (what, when, hash) --> answer
             |             |            |
             +-------------+------------+--> SigningError: status, cause, remedy
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from eth_utils.address import to_checksum_address
from sqlalchemy.exc import OperationalError

from services.identity.accounts.vault import Vault
from services.identity.metrics import SIGNED, UNSIGNED
from services.identity.signing.book import Book, Entry
from services.identity.signing.owner import Heir
from services.identity.signing.policy import Code, Refused, Rules, Transaction, check, contract_address, is_early
from shared.errors import SwarmError
from shared.rate import Bucket

BURST, PER_S = 2_000, 100  # signatures at once, and for long: more than any chain takes


class SigningError(SwarmError):
    """Not signed. `status` is the answer's."""

    def __init__(self, status: int, cause: str, remedy: str) -> None:
        super().__init__(cause, remedy)
        self.status = status


@dataclass(frozen=True)
class Signed:
    """A transaction that can be sent."""

    raw: str  # 0x...
    hash: str  # 0x...


class Signatures:
    """The household's key, as far as the coordinator may use it."""

    def __init__(
        self,
        vault: Vault,
        book: Book,
        code: Code,
        *,
        chain_id: int,
        contract: str | None,
        market: str | None = None,
        heir: Callable[[], Heir | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._vault, self._book, self._code, self._clock = vault, book, code, clock
        self._chain_id, self._given = chain_id, {to_checksum_address(one) for one in (contract, market) if one}
        self._heir = heir
        self._bucket = Bucket(BURST, PER_S, BURST, clock())
        self._one_at_a_time = asyncio.Lock()  # nonces are given in order

    async def sign(self, transactions: Sequence[Transaction]) -> list[Signed]:
        """Raw transactions and their hashes. Raises SigningError."""
        async with self._one_at_a_time:
            account = self._ready()
            try:
                self._take(len(transactions))
                names = check(transactions, await asyncio.to_thread(self._rules, account, transactions))
                return await asyncio.to_thread(self._sign, account, transactions, names)
            except Refused as refusal:
                UNSIGNED.labels("refused").inc()
                raise SigningError(403, f"identity does not sign this: {refusal}", "see docs/security.md") from refusal
            except OperationalError as error:  # what cannot be put on record is not given away
                UNSIGNED.labels("record").inc()
                cause = f"identity cannot keep its record of signatures ({error.orig})"
                raise SigningError(503, cause, "see its disk") from error

    def _ready(self) -> str:
        if self._vault.state == "ready" and self._vault.address is not None:
            return self._vault.address
        UNSIGNED.labels(self._vault.state).inc()
        if self._vault.state == "locked":
            raise SigningError(409, "the account's key is locked", "log in on the page, or run: rlswarm login")
        raise SigningError(409, "this household has no account yet", "sign up on the page, or run: rlswarm login")

    def _take(self, number: int) -> None:
        self._bucket, enough = self._bucket.take(number, self._clock())
        if not enough:
            UNSIGNED.labels("rate").inc()
            raise SigningError(429, f"more than {PER_S} signatures a second are asked for", "it is tried again")

    def _rules(self, account: str, transactions: Sequence[Transaction]) -> Rules:
        contracts = self._book.contracts(self._chain_id) | self._given
        called = {to_checksum_address(one.to) for one in transactions if one.to}
        contracts |= {contract for contract in called - contracts if is_early(account, contract)}
        next_nonce = self._book.next_nonce(self._chain_id)
        return Rules(account, self._chain_id, frozenset(contracts), next_nonce, self._code, self._heir())

    def _sign(self, account: str, transactions: Sequence[Transaction], names: Sequence[str]) -> list[Signed]:
        done = [Signed(*self._vault.sign(_fields(one))) for one in transactions]
        entries = [
            Entry(
                chain_id=one.chain_id,
                nonce=one.nonce,
                function=name,
                contract=to_checksum_address(one.to) if one.to else contract_address(account, one.nonce),
                made=one.to is None,
                code=one.code,
                transaction=signed.hash,
            )
            for one, name, signed in zip(transactions, names, done, strict=True)
        ]
        self._book.enter(entries)
        SIGNED.inc(len(done))
        return done


def _fields(one: Transaction) -> dict[str, object]:
    """What eth_account signs: a transaction with a gas price (EIP-155), no coin sent along."""
    to = {} if one.to is None else {"to": to_checksum_address(one.to)}
    return {
        "data": one.data,
        "nonce": one.nonce,
        "gas": one.gas,
        "gasPrice": one.gas_price,
        "chainId": one.chain_id,
        "value": 0,
        **to,
    }
