"""The database file: SQLite with a write-ahead log. What was committed survives kill -9 and a loss of power."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from shared.errors import SwarmError

FILE = "identity.db"
MIGRATIONS = Path(__file__).resolve().parent / "migrations"
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000", "secure_delete=ON")


class Database:
    """The accounts' database, migrated to what this version needs. Raises SwarmError if it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        _private(folder, self.path)
        self._engine = _engine(self.path)
        try:
            migrate(self._engine)
        except (CommandError, ResolutionError) as error:
            raise SwarmError(
                f"the accounts in {self.path} were written by a later version of this software",
                "update it, or restore a backup",
            ) from error
        except DatabaseError as error:
            raise SwarmError(
                f"{self.path} cannot be used ({type(error.orig).__name__}: {error.orig})",
                "see the disk, or restore a backup: rlswarm identity restore",
            ) from error

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back by an exception. One writes at a time."""
        with self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


def migrate(engine: Engine) -> None:
    """Bring the tables to this version's."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _private(folder: Path, file: Path) -> None:
    """Folder and file for our eyes only, also if they were made by somebody careless."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    file.chmod(0o600)  # SQLite gives its log files the same mode


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself: `_begin` does
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Writers wait for each other here, where they can: a reader that turns writer later may not wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
