"""The entries of a ledger: their table, and the seals that run through them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter

from shared.messages import Registration, Reward, Submission

TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    block INTEGER PRIMARY KEY,  -- from 1
    seal TEXT NOT NULL,         -- sha256 of the seal before it and of its hash
    hash TEXT NOT NULL,         -- of the transaction
    raw TEXT NOT NULL,          -- the transaction, signed
    account TEXT NOT NULL,      -- by whom
    key TEXT UNIQUE,            -- of the submission; NULL: the entry opened a stage or set their number
    kind TEXT, peer TEXT, round INTEGER, stage INTEGER,
    message TEXT                -- the submission
);
CREATE INDEX IF NOT EXISTS by_round ON entries (kind, round, stage);
CREATE INDEX IF NOT EXISTS by_peer ON entries (kind, peer);
"""
SUBMISSION: TypeAdapter[Submission] = TypeAdapter(Submission)


def sealed(before: str, transaction: str) -> str:
    """The seal of an entry: sha256 over the seal before it and the transaction's hash, both as text."""
    return "0x" + sha256(f"{before}{transaction}".encode()).hexdigest()


def first_seal(contract: str, mark: str) -> str:
    """What the first entry's seal runs on from."""
    return sealed(contract, mark)


def columns(submission: Submission | None) -> tuple[Any, ...]:
    """The fields from `key` on; all NULL where an entry is no submission."""
    if submission is None:
        return (None,) * 6
    number = None if isinstance(submission, Registration) else submission.round
    stage = submission.stage if isinstance(submission, Reward) else None
    return submission.key, submission.kind, submission.peer_id, number, stage, submission.model_dump_json()
