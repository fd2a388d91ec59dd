"""The owner: sign-up, login by passphrase, another passphrase."""

from __future__ import annotations

import logging
import secrets
import threading
import time
import unicodedata
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.identity.accounts.db import Database
from services.identity.accounts.passphrase import Hashes, normal, weakness
from services.identity.accounts.tables import CHALLENGES, OWNER, PASSWORDS, THROTTLE
from services.identity.accounts.throttle import Throttle
from services.identity.accounts.vault import Vault, VaultError, WrongPassphrase
from shared.errors import SwarmError

log = logging.getLogger(__name__)

LONGEST_NAME = 100


class LoginError(Exception):
    """Not let in; says why in words for the person, and which field of the form is meant."""

    def __init__(self, text: str, field: str = "", status: int = 400, retry_s: int = 0) -> None:
        super().__init__(text)
        self.text, self.field, self.status, self.retry_s = text, field, status, retry_s


WRONG = "Name or passphrase is wrong."


@dataclass(frozen=True)
class Welcome:
    """The owner is in."""

    name: str
    notice: str = ""  # why the key could not be opened, if so


class Owners:
    """At most one. Its methods may be called from several threads."""

    def __init__(self, database: Database, hashes: Hashes, throttle: Throttle, vault: Vault) -> None:
        self._database, self._hashes, self._throttle, self._vault = database, hashes, throttle, vault
        self._signing_up = threading.Lock()

    def name(self) -> str | None:
        """The owner's name; None if nobody has signed up yet."""
        with self._database.begin() as connection:
            return connection.scalar(select(OWNER.c.name))

    def sign_up(self, name: str, passphrase: str) -> Welcome:
        """Become the owner. Raises LoginError."""
        name, passphrase = clean_name(name), normal(passphrase)
        if why := weakness(passphrase, name):
            raise LoginError(why, "passphrase")
        with self._signing_up:
            if self.name() is not None:
                raise LoginError("This household has an owner already.", status=409)
            # The key first: whoever cannot open it cannot be its owner.
            self._open(passphrase)
            hashed, now = self._hashes.make(passphrase), time.time()
            try:
                with self._database.begin() as connection:
                    row = {"id": 1, "name": name, "handle": secrets.token_bytes(32), "created": now}
                    connection.execute(insert(OWNER).values(row))
                    connection.execute(insert(PASSWORDS).values(owner_id=1, hash=hashed, changed=now))
            except IntegrityError as error:
                raise LoginError("This household has an owner already.", status=409) from error
        log.info("the household has an owner now")
        return Welcome(name)

    def _open(self, passphrase: str) -> None:
        try:
            self._vault.welcome(passphrase)
        except WrongPassphrase as error:
            text = "This household has a key already. Sign up with the passphrase that it is encrypted with."
            raise LoginError(text, "passphrase") from error
        except VaultError as error:
            raise LoginError(sentence(error), status=409) from error

    def log_in(self, name: str, passphrase: str, address: str) -> Welcome:
        """By passphrase; opens the key. Raises LoginError, the same for a wrong name as for a wrong passphrase."""
        owner = self.verify(name, passphrase, address)
        try:
            self._vault.welcome(normal(passphrase))
        except WrongPassphrase:
            log.warning("the owner's passphrase does not open the key")
            return Welcome(owner, "Your key is encrypted under another passphrase: unlock it below.")
        except VaultError as error:
            log.warning("%s", error)
            return Welcome(owner, sentence(error))
        return Welcome(owner)

    def verify(self, name: str, passphrase: str, address: str) -> str:
        """The owner's name, if it and the passphrase are right. Raises LoginError."""
        given, passphrase = normal(name).strip()[:LONGEST_NAME], normal(passphrase)
        self.count_try(given, address)
        with self._database.begin() as connection:
            query = select(OWNER.c.name, PASSWORDS.c.hash).join(PASSWORDS, PASSWORDS.c.owner_id == OWNER.c.id)
            row = connection.execute(query).one_or_none()
        known = row is not None and secrets.compare_digest(row.name.casefold().encode(), given.casefold().encode())
        if not self._hashes.fits(row.hash if row and known else None, passphrase[:1024]) or row is None:
            log.warning("a wrong name or passphrase from %s", address)
            raise LoginError(WRONG, "passphrase", status=401)
        self.forgive(given, address)
        if self._hashes.outdated(row.hash):
            hashed = self._hashes.make(passphrase)
            with self._database.begin() as connection:
                _put(connection, hashed)
        return str(row.name)

    def count_try(self, what: str, address: str) -> None:
        """One more try that may be wrong. Raises LoginError when there were too many."""
        if wait := self._throttle.admit(what, address, time.time()):
            log.warning("too many tries from %s: the next is looked at in %d s", address, wait)
            raise LoginError(f"Too many tries. Try again in {_span(wait)}.", status=429, retry_s=wait)

    def forgive(self, what: str, address: str) -> None:
        """It was right after all."""
        self._throttle.forgive(what, address)

    def change(self, name: str, old: str, new: str, address: str) -> None:
        """Another passphrase, for the login and for the key. Raises LoginError."""
        self.verify(name, old, address)
        old, new = normal(old), normal(new)
        if why := weakness(new, name):
            raise LoginError(why, "new")
        hashed = self._hashes.make(new)
        if "passphrase" not in self._vault.unlockers():
            with self._database.begin() as connection:
                _put(connection, hashed)
            return
        try:
            self._vault.rotate(old, new, also=lambda connection: _put(connection, hashed))
        except VaultError as error:
            raise LoginError(sentence(error), "old") from error


def _put(connection: Connection, hashed: str) -> None:
    connection.execute(update(PASSWORDS).values(hash=hashed, changed=time.time()))


def sentence(error: SwarmError) -> str:
    """Cause and remedy, as a page says it."""
    return f"{error.cause[:1].upper()}{error.cause[1:]}: {error.remedy}."


def clean_name(name: str) -> str:
    """A name or an e-mail address as it is kept. Raises LoginError."""
    name = " ".join(normal(name).split())
    if not name or len(name) > LONGEST_NAME:
        raise LoginError(f"A name has 1 to {LONGEST_NAME} characters.", "name")
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise LoginError("A name has no invisible characters.", "name")
    return name


def _span(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < 90 else f"{-(-seconds // 60)} minutes"


def forget_owner(connection: Connection) -> None:
    """Whoever signs up next is the owner: passphrase, passkeys, wallets and sessions go with the former one."""
    connection.execute(delete(OWNER))
    for table in (THROTTLE, CHALLENGES):
        connection.execute(delete(table))
