"""Who would be the owner, and that an owner always has a way to log in."""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from services.identity.accounts.passphrase import normal
from services.identity.accounts.refusal import LAST_WAY, LoginError
from services.identity.accounts.tables import CHALLENGES, OWNER, PASSKEYS, PASSWORDS, THROTTLE, WALLETS

LONGEST_NAME = 100


def new_handle() -> bytes:
    """What passkeys are to know an owner by."""
    return secrets.token_bytes(32)


@dataclass(frozen=True)
class Newcomer:
    """Somebody who has shown how they will log in."""

    name: str
    add_way: Callable[[Connection], None]  # writes that down, once there is an owner
    handle: bytes = field(default_factory=new_handle)

    def settle(self, connection: Connection) -> None:
        """Be the owner. Raises IntegrityError if there is one."""
        row = {"id": 1, "name": self.name, "handle": self.handle, "created": time.time()}
        connection.execute(insert(OWNER).values(row))
        self.add_way(connection)


def clean_name(name: str) -> str:
    """A name or an e-mail address as it is kept. Raises LoginError."""
    name = " ".join(normal(name).split())
    if not name or len(name) > LONGEST_NAME:
        raise LoginError(f"A name has 1 to {LONGEST_NAME} characters.", "name")
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise LoginError("A name has no invisible characters.", "name")
    return name


def check_ways(connection: Connection) -> None:
    """After a way to log in was removed: LoginError, which undoes that, if it was the last."""
    ways = (PASSWORDS, PASSKEYS, WALLETS)
    if not any(connection.scalar(select(table.c.owner_id).limit(1)) for table in ways):
        raise LoginError(LAST_WAY, status=409)


def forget_owner(connection: Connection) -> None:
    """Whoever signs up next is the owner: passphrase, passkeys, wallets and sessions go with the former one."""
    connection.execute(delete(OWNER))
    for table in (THROTTLE, CHALLENGES):
        connection.execute(delete(table))
