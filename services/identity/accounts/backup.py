"""Backups of the accounts' database: one file, made while it is in use, put back while it is not."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete

from services.identity.accounts.db import FILE, Database
from services.identity.accounts.tables import CHAINS, SESSIONS, THROTTLE
from shared.errors import SwarmError


def backup(folder: Path, file: Path) -> None:
    """SQLite's own copy of a database that is in use. Raises SwarmError."""
    source = folder / FILE
    if not source.exists():
        raise SwarmError(f"there is nothing to back up in {folder}", "see STATE_DIR")
    with new_file(file) as partial, _sqlite(source) as kept, _sqlite(partial) as copy:
        kept.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


def restore(folder: Path, file: Path) -> None:
    """Put a backup in place; the former database stays beside it. Only while no identity runs. Raises SwarmError."""
    with _staged(folder, file) as staged:
        with contextlib.closing(Database(staged)) as database, database.begin() as connection:  # an older one's tables
            # Others may have used the key since: the chain tells the next nonce. And old cookies stay dead.
            for table in (CHAINS, SESSIONS, THROTTLE):
                connection.execute(delete(table))
        target = folder / FILE
        if target.exists():
            with contextlib.closing(Database(folder)):  # what lies in its log goes into the file
                pass
            target.rename(target.with_name(f"{FILE}.{int(time.time())}"))
        for rest in ("-wal", "-shm"):
            (folder / (FILE + rest)).unlink(missing_ok=True)
        (staged / FILE).rename(target)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file for our eyes only that appears whole, and takes no other's place."""
    if path.exists():
        raise SwarmError(f"{path} exists already", "choose another name, or remove it")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _sqlite(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)) as connection:
        yield connection


@contextlib.contextmanager
def _staged(folder: Path, file: Path) -> Iterator[Path]:
    """A folder with a whole copy of a backup. Raises SwarmError if it is none."""
    staged = folder / f"restore.{os.getpid()}"
    staged.mkdir(mode=0o700)
    try:
        with _sqlite(file, "ro") as kept, _sqlite(staged / FILE, "rwc") as copy:
            kept.backup(copy)
            sound = copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            ours = copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone() == (1,)
        if not (sound and ours):
            raise SwarmError(f"{file} is no backup of accounts, or is damaged", "choose another")
        yield staged
    finally:
        for left in staged.iterdir():
            left.unlink()
        staged.rmdir()
