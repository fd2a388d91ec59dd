"""How often a wrong passphrase may be tried. Every try counts before it is checked; a right one clears the count."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from services.identity.accounts.db import Database
from services.identity.accounts.tables import THROTTLE

FORGET_S = 24 * 3600.0  # without a failure
MAX_KEYS = 2_000


@dataclass(frozen=True)
class Rule:
    """After `free` failures in a row, a wait of `first_s`, doubled by each further one, of `longest_s` at most."""

    free: int
    first_s: float
    longest_s: float


ONE = Rule(5, 30, 15 * 60)  # one name from one address
ALL = Rule(100, 30, 60)  # whoever tries: guessing from many places ends here, and the owner is kept out for a minute


@dataclass(frozen=True)
class Tries:
    """What is remembered of a key."""

    failures: int = 0
    locked_until: float = 0.0
    last: float = 0.0


def attempt(tries: Tries, rule: Rule, now: float) -> tuple[Tries, float]:
    """What is remembered after one more try, counted as a failure, and the seconds to wait; 0: it may be checked."""
    if now < tries.locked_until:
        return tries, tries.locked_until - now
    failures = 1 if now - tries.last > FORGET_S else tries.failures + 1
    over = failures - rule.free
    wait = 0.0 if over < 0 else min(rule.first_s * 2.0 ** min(over, 30), rule.longest_s)
    return Tries(failures, now + wait if wait else 0.0, now), 0.0


class Throttle:
    """The counts, in the database: a restart forgives nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(self, name: str, address: str, now: float) -> int:
        """Count a try; the seconds to wait before another is looked at, 0 if this one is."""
        with self._database.begin() as connection:
            found = [(key, rule, _tries(connection, key)) for key, rule in _keys(name, address)]
            results = [(key, *attempt(tries, rule, now)) for key, rule, tries in found]
            wait = max(seconds for _, _, seconds in results)
            if wait == 0:  # a try that is not looked at counts for nothing
                for key, tries, _ in results:
                    _store(connection, key, tries)
                _prune(connection, now)
            return math.ceil(wait)

    def forgive(self, name: str, address: str) -> None:
        """It was the right one."""
        with self._database.begin() as connection:
            connection.execute(delete(THROTTLE).where(THROTTLE.c.key.in_([key for key, _ in _keys(name, address)])))


def _keys(name: str, address: str) -> tuple[tuple[str, Rule], ...]:
    one = hashlib.sha256(f"{name.casefold()}\0{address}".encode()).hexdigest()
    return (one, ONE), ("all", ALL)


def _tries(connection: Connection, key: str) -> Tries:
    columns = (THROTTLE.c.failures, THROTTLE.c.locked_until, THROTTLE.c.last)
    row = connection.execute(select(*columns).where(THROTTLE.c.key == key)).one_or_none()
    return Tries(*row) if row else Tries()


def _store(connection: Connection, key: str, tries: Tries) -> None:
    connection.execute(delete(THROTTLE).where(THROTTLE.c.key == key))
    row = {"key": key, "failures": tries.failures, "locked_until": tries.locked_until, "last": tries.last}
    connection.execute(insert(THROTTLE).values(row))


def _prune(connection: Connection, now: float) -> None:
    """Forget what is old; at the bound, the oldest."""
    connection.execute(delete(THROTTLE).where(THROTTLE.c.last < now - FORGET_S))
    too_many = (connection.scalar(select(func.count()).select_from(THROTTLE)) or 0) - MAX_KEYS
    if too_many > 0:
        oldest = select(THROTTLE.c.key).where(THROTTLE.c.key != "all").order_by(THROTTLE.c.last).limit(too_many)
        connection.execute(delete(THROTTLE).where(THROTTLE.c.key.in_(oldest)))
