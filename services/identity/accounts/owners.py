"""The owner: sign-up, login by passphrase, another passphrase."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.identity.accounts.db import Database
from services.identity.accounts.newcomer import LONGEST_NAME, Newcomer, clean_name, forget_owner
from services.identity.accounts.passphrase import Hashes, normal, weakness
from services.identity.accounts.refusal import WRONG, LoginError, owned, sentence, span
from services.identity.accounts.tables import OWNER, PASSWORDS
from services.identity.accounts.throttle import Throttle
from services.identity.accounts.vault import Vault, VaultError, WrongPassphrase

log = logging.getLogger(__name__)

NO_FILE = "Nothing but a passphrase can protect the key here: there is no passphrase file. Sign up with one."

__all__ = ["LoginError", "Owners", "Welcome", "forget_owner", "sentence"]


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

    def has_passphrase(self) -> bool:
        """Whether the owner can log in by one."""
        with self._database.begin() as connection:
            return connection.scalar(select(PASSWORDS.c.owner_id)) is not None

    def sign_up(self, name: str, passphrase: str) -> Welcome:
        """Become the owner. Raises LoginError."""
        name, passphrase = clean_name(name), normal(passphrase)
        self.check_new(name, passphrase, "passphrase")
        with self._signing_up:
            if self.name() is not None:
                raise owned()
            # The key first: whoever cannot open it cannot be its owner.
            self._open(passphrase)
            hashed = self._hashes.make(passphrase)
            self._settle(Newcomer(name, lambda connection: _add(connection, hashed)))
        return Welcome(name)

    def sign_up_as(self, newcomer: Newcomer) -> None:
        """Become the owner without a passphrase. Raises LoginError."""
        with self._signing_up:
            self.admit()
            self._vault.forget_passphrase()  # of a sign-up that was cut off
            self._settle(newcomer)

    def admit(self) -> None:
        """Raises LoginError unless somebody can become the owner without a passphrase: the file's protects the key."""
        if self.name() is not None:
            raise owned()
        if not self._vault.opens_itself():
            raise LoginError(NO_FILE, status=409)

    def _settle(self, newcomer: Newcomer) -> None:
        try:
            with self._database.begin() as connection:
                newcomer.settle(connection)
        except IntegrityError as error:
            raise owned() from error
        log.info("the household has an owner now")

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
            raise LoginError(f"Too many tries. Try again in {span(wait)}.", status=429, retry_s=wait)

    def forgive(self, what: str, address: str) -> None:
        """It was right after all."""
        self._throttle.forgive(what, address)

    def change(self, name: str, old: str, new: str, address: str) -> None:
        """Another passphrase, for the login and for the key. Raises LoginError."""
        self.verify(name, old, address)
        old, new = normal(old), normal(new)
        self.check_new(name, new, "new")
        hashed = self._hashes.make(new)
        if "passphrase" not in self._vault.unlockers():
            with self._database.begin() as connection:
                _put(connection, hashed)
            return
        try:
            self._vault.rotate(old, new, also=lambda connection: _put(connection, hashed))
        except VaultError as error:
            raise LoginError(sentence(error), "old") from error

    def set_first(self, name: str, new: str) -> None:
        """A passphrase for an owner who has none: it logs in, and opens the key, too. Raises LoginError."""
        new = normal(new)
        self.check_new(name, new, "new")
        hashed = self._hashes.make(new)
        try:
            self._vault.add_passphrase(new, also=lambda connection: _add(connection, hashed))
        except VaultError as error:
            raise LoginError(sentence(error), status=409) from error
        except IntegrityError as error:
            raise LoginError("There is a passphrase already.", "old", 409) from error

    def check_new(self, name: str, passphrase: str, field: str) -> None:
        """Raises LoginError for a passphrase that will not do."""
        if why := weakness(normal(passphrase), name):
            raise LoginError(why, field)


def _add(connection: Connection, hashed: str) -> None:
    connection.execute(insert(PASSWORDS).values(owner_id=1, hash=hashed, changed=time.time()))


def _put(connection: Connection, hashed: str) -> None:
    connection.execute(update(PASSWORDS).values(hash=hashed, changed=time.time()))
