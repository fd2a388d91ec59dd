"""The household's key: encrypted on disk, in the clear only in this object's memory.

    none --create--> ready --restart--> locked --unlock--> ready

The same key is kept once for each way to open it: "file" (IDENTITY_PASSPHRASE_FILE, at every start) and "passphrase"
(the owner's, at login). It never changes unless another is imported: the contract binds the peers to it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount
from sqlalchemy import Connection, delete, insert, select, update

from services.identity.accounts.db import Database
from services.identity.accounts.former import former_key, lay_aside
from services.identity.accounts.keystore import FAST, STRONG, VaultError, WrongPassphrase, decrypt, encrypt
from services.identity.accounts.tables import CHAINS, KEYSTORES
from shared.errors import SettingsError
from shared.invite import Invite, Signed

log = logging.getLogger(__name__)

State = Literal["none", "locked", "ready"]
Unlocker = Literal["file", "passphrase"]

__all__ = ["State", "Unlocker", "Vault", "VaultError", "WrongPassphrase"]


class Vault:
    """One key. Its methods may be called from several threads."""

    def __init__(self, database: Database, *, fast: bool = False, adopt: Path | None = None) -> None:
        self._database, self._cost, self._adopt = database, FAST if fast else STRONG, adopt
        self._lock = threading.Lock()  # one at a time: opening a key takes 128 MiB
        self._account: LocalAccount | None = None
        self._file_secret: str | None = None
        self._invited = ""  # the last invite that was signed
        self.address: str | None = None  # with checksum; known when locked, too
        with database.begin() as connection:
            self.address = connection.scalar(select(KEYSTORES.c.address).where(_in_use()).limit(1))

    def __repr__(self) -> str:
        return f"<Vault {self.state} {self.address}>"

    @property
    def state(self) -> State:
        """Whether there is a key, and whether it is at hand."""
        if self._account is not None:
            return "ready"
        return "locked" if self.address else "none"

    def start(self, file_secret: str | None) -> None:
        """With a passphrase file, make or open the key now. Raises SettingsError when it does not fit."""
        self.know_file(file_secret)
        lay_aside(self._adopt, self.address)
        if file_secret is None:
            return
        if self.address is None:
            self.create("file", file_secret)
        elif "file" not in self.unlockers():
            log.warning("IDENTITY_PASSPHRASE_FILE will open the key from the owner's next login on")
        else:
            self._open_by_file(file_secret)

    def know_file(self, file_secret: str | None) -> None:
        """What the passphrase file holds: a key that is made or imported from now on is encrypted under it, too."""
        self._file_secret = file_secret

    def _open_by_file(self, secret: str) -> None:
        try:
            self.unlock(secret, "file")
        except WrongPassphrase:
            raise SettingsError(
                "IDENTITY_PASSPHRASE_FILE holds another passphrase than the one this household's key is encrypted with",
                "put the former one back, or re-encrypt the key: rlswarm identity rotate",
            ) from None

    def create(self, unlocker: Unlocker, secret: str) -> None:
        """Make the household's key, or adopt the one that an earlier version left. Raises VaultError."""
        with self._lock:
            if self.address is not None:
                raise VaultError("this household has a key already", "use it, or import another")
            account = former_key(self._adopt) or Account.create()
            self._replace(account, {unlocker: secret})
            log.info("the household's account is %s", account.address)
        lay_aside(self._adopt, self.address)

    def unlock(self, secret: str, unlocker: Unlocker | None = None) -> None:
        """Take the key into memory. Raises WrongPassphrase, and VaultError if there is no key of that kind."""
        with self._lock:
            self._account = self._decrypted(secret, unlocker)

    def welcome(self, passphrase: str) -> None:
        """After the owner's login: make or open the key, and let the file and the passphrase both open it from now on.

        Raises VaultError if the key cannot be opened.
        """
        if self.address is None:
            self.create("passphrase", passphrase)
        unlockers = self.unlockers()
        if self._account is None and "passphrase" not in unlockers:
            raise _no_file()
        if self._account is None:
            self.unlock(passphrase, "passphrase")
        secrets: dict[Unlocker, str | None] = {"file": self._file_secret, "passphrase": passphrase}
        for unlocker in ("file", "passphrase"):
            if unlocker not in unlockers and (secret := secrets[unlocker]) is not None:
                self._keep(unlocker, secret)

    def sign(self, fields: dict[str, Any]) -> tuple[str, str]:
        """A transaction, signed: raw 0x... and hash 0x.... Raises VaultError when the key is not at hand."""
        signed = self._ready().sign_transaction(fields)
        return "0x" + bytes(signed.raw_transaction).hex(), "0x" + bytes(signed.hash).hex()

    def export(self, passphrase: str) -> str:
        """The key as keystore JSON, encrypted under this passphrase. Raises VaultError when the key is not at hand."""
        with self._lock:
            return encrypt(self._ready(), passphrase, self._cost)

    def sign_invite(self, invite: Invite) -> str:
        """The invite's line of text, signed; nothing else that is no transaction. Raises VaultError as `sign` does."""
        signature = self._ready().sign_message(encode_defunct(text=invite.signed_text())).signature
        text = Signed(invite=invite, signature=bytes(signature)).text()
        if text != self._invited:  # the page has the same one signed again and again
            log.info("signed an invite to %s, good until %s", invite.swarm, datetime.fromtimestamp(invite.expires, UTC))
            self._invited = text
        return text

    def import_keystore(self, text: str, passphrase: str, owner: str | None) -> str:
        """Replace the key by the one in a file; its address. Passphrase file and owner's passphrase open it then.

        Either may be missing. The former key stays in the database, encrypted, out of use. Raises VaultError.
        """
        with self._lock:
            account = decrypt(text, passphrase)
            secrets: dict[Unlocker, str | None] = {"file": self._file_secret, "passphrase": owner}
            self._replace(account, {kind: secret for kind, secret in secrets.items() if secret is not None})
        log.info("the household's account is now %s", account.address)
        return str(account.address)

    def rotate(
        self,
        old: str,
        new: str,
        unlocker: Unlocker = "passphrase",
        also: Callable[[Connection], None] = lambda _connection: None,
    ) -> None:
        """Encrypt the same key under another passphrase, and do something else in the same transaction.

        Raises VaultError.
        """
        with self._lock:
            text = encrypt(self._decrypted(old, unlocker), new, self._cost)
        with self._database.begin() as connection:
            connection.execute(update(KEYSTORES).where(_in_use(), KEYSTORES.c.unlocker == unlocker).values(json=text))
            also(connection)

    def add_passphrase(self, passphrase: str, also: Callable[[Connection], None]) -> None:
        """Let a passphrase open the key, too, and do something else in the same transaction.

        Raises VaultError when the key is not at hand.
        """
        with self._lock:
            account = self._ready()
            text = encrypt(account, passphrase, self._cost)
            with self._database.begin() as connection:
                _retire(connection, "passphrase")
                _insert(connection, "passphrase", account.address, text)
                also(connection)

    def forget_passphrase(self) -> None:
        """Only the passphrase file opens the key from now on."""
        with self._database.begin() as connection:
            _retire(connection, "passphrase")

    def opens_itself(self) -> bool:
        """Whether the key is open and will be at every start, whoever logs in."""
        return self.state == "ready" and "file" in self.unlockers()

    def unlockers(self) -> tuple[Unlocker, ...]:
        """The ways in which the key can be opened."""
        with self._database.begin() as connection:
            return tuple(connection.scalars(select(KEYSTORES.c.unlocker).where(_in_use())))

    def _ready(self) -> LocalAccount:
        if self._account is None:
            if self.address is None:
                raise VaultError("this household has no key yet", "sign up on the page")
            if "passphrase" not in self.unlockers():
                raise _no_file()
            raise VaultError("the household's key is locked", "log in with the passphrase")
        return self._account

    def _decrypted(self, secret: str, unlocker: Unlocker | None) -> LocalAccount:
        with self._database.begin() as connection:
            rows = connection.execute(select(KEYSTORES.c.unlocker, KEYSTORES.c.json).where(_in_use())).all()
        texts = [text for kind, text in rows if unlocker in (None, kind)]
        if not texts:
            raise VaultError("there is no key that this could open", "sign up on the page, or import a key")
        for text in texts:
            try:
                return decrypt(text, secret)
            except WrongPassphrase:
                continue
        raise WrongPassphrase

    def _keep(self, unlocker: Unlocker, secret: str) -> None:
        """One more way to open the key."""
        with self._lock:
            if unlocker in self.unlockers():  # two logins at once
                return
            text = encrypt(self._ready(), secret, self._cost)
            with self._database.begin() as connection:
                _insert(connection, unlocker, self._ready().address, text)
        log.info("the key can be opened by the owner's %s from now on", unlocker)

    def _replace(self, account: LocalAccount, secrets: dict[Unlocker, str]) -> None:
        if not secrets:
            raise _no_file()  # nothing could open it after a restart
        texts = {unlocker: encrypt(account, secret, self._cost) for unlocker, secret in secrets.items()}
        with self._database.begin() as connection:
            _retire(connection, "file", "passphrase")
            for unlocker, text in texts.items():
                _insert(connection, unlocker, account.address, text)
            connection.execute(delete(CHAINS))  # nonces of another account
        self._account, self.address = account, str(account.address)


def _in_use() -> Any:
    return KEYSTORES.c.retired.is_(None)


def _no_file() -> VaultError:
    return VaultError(
        "the key is encrypted under a passphrase file that is not there",
        "put it back, set IDENTITY_PASSPHRASE_FILE and start again",
    )


def _retire(connection: Connection, *unlockers: Unlocker) -> None:
    those = KEYSTORES.c.unlocker.in_(unlockers)
    connection.execute(update(KEYSTORES).where(_in_use(), those).values(retired=time.time()))


def _insert(connection: Connection, unlocker: Unlocker, address: str, text: str) -> None:
    row = {"unlocker": unlocker, "address": address, "json": text, "created": time.time()}
    connection.execute(insert(KEYSTORES).values(row))
