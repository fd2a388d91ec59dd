"""What was signed, on record: the audit log, the next nonce of each chain, and the contracts that were made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from eth_utils.crypto import keccak
from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from services.identity.accounts.db import Database
from services.identity.accounts.tables import CHAINS, CONTRACTS, SIGNATURES

KEPT = 200_000  # signatures; the oldest go


@dataclass(frozen=True)
class Entry:
    """One signature."""

    chain_id: int
    nonce: int
    function: str  # its full signature, or what was deployed
    contract: str  # that is called or made
    made: bool  # True: the transaction makes the contract
    code: bytes  # the transaction's data; its hash is kept
    transaction: str  # hash, 0x...


@dataclass(frozen=True)
class Signature:
    """An entry as it is shown."""

    at: float  # unix seconds
    chain_id: int
    nonce: int
    to: str | None
    function: str
    transaction: str
    note: str


class Book:
    """The record in the accounts' database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_nonce(self, chain_id: int) -> int | None:
        """One more than the highest nonce that was signed; None if nothing was."""
        with self._database.begin() as connection:
            return _next_nonce(connection, chain_id)

    def contracts(self, chain_id: int) -> set[str]:
        """The contracts that our transactions make, with checksum."""
        with self._database.begin() as connection:
            return set(connection.scalars(select(CONTRACTS.c.address).where(CONTRACTS.c.chain_id == chain_id)))

    def enter(self, entries: Sequence[Entry]) -> None:
        """Put signatures on record, all or none."""
        now = time.time()
        with self._database.begin() as connection:
            for entry in entries:
                expected = _next_nonce(connection, entry.chain_id)
                _advance(connection, entry, expected)
                connection.execute(insert(SIGNATURES).values(_row(entry, now, expected)))
                if entry.made:
                    made = {"chain_id": entry.chain_id, "address": entry.contract, "since": now}
                    connection.execute(upsert(CONTRACTS).values(made).on_conflict_do_nothing())
            _forget(connection)

    def latest(self, limit: int = 50) -> list[Signature]:
        """The last signatures, the newest first."""
        with self._database.begin() as connection:
            rows = connection.execute(select(SIGNATURES).order_by(SIGNATURES.c.id.desc()).limit(limit)).mappings()
            fields = ("at", "chain_id", "nonce", "to", "function", "transaction", "note")
            return [Signature(**{name: row[name] for name in fields}) for row in rows]


def _next_nonce(connection: Connection, chain_id: int) -> int | None:
    found: int | None = connection.scalar(select(CHAINS.c.next_nonce).where(CHAINS.c.chain_id == chain_id))
    return found


def _advance(connection: Connection, entry: Entry, expected: int | None) -> None:
    row = {"chain_id": entry.chain_id, "next_nonce": max(entry.nonce + 1, expected or 0)}
    change = upsert(CHAINS).values(row)
    connection.execute(change.on_conflict_do_update(index_elements=[CHAINS.c.chain_id], set_=row))


def _row(entry: Entry, now: float, expected: int | None) -> dict[str, object]:
    """With a note where the nonce is not the next one: a stuck transaction, a chain begun anew, another user."""
    gap = 0 if expected is None else entry.nonce - expected
    return {
        "at": now,
        "chain_id": entry.chain_id,
        "nonce": entry.nonce,
        "to": None if entry.made else entry.contract,
        "function": entry.function,
        "data_hash": "0x" + keccak(entry.code).hex(),
        "transaction": entry.transaction,
        "note": "" if gap == 0 else "in place of an earlier one" if gap < 0 else f"{gap} nonces were used elsewhere",
    }


def _forget(connection: Connection) -> None:
    newest: int = connection.scalar(select(func.max(SIGNATURES.c.id))) or 0
    connection.execute(delete(SIGNATURES).where(SIGNATURES.c.id <= newest - KEPT))
