"""The household's owner, the ways to log in, and the key.

sign up, log in --> Owners --> passphrase.py (argon2id), throttle.py
                --> Sessions (cookies of browsers)
passkeys.py, wallet.py --> Challenges; a newcomer.py --> Owners, for a sign-up without a passphrase
key --> Vault
everything --> Database: STATE_DIR/identity/identity.db
"""

from __future__ import annotations

import fcntl
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from services.identity.accounts.challenges import Challenges
from services.identity.accounts.claim import Claim
from services.identity.accounts.db import Database
from services.identity.accounts.household import org_id
from services.identity.accounts.owners import Owners
from services.identity.accounts.passkeys import Passkeys
from services.identity.accounts.passphrase import Hashes
from services.identity.accounts.sessions import Sessions
from services.identity.accounts.throttle import Throttle
from services.identity.accounts.vault import Vault
from services.identity.accounts.wallet import Wallets
from services.identity.settings import IdentitySettings
from shared.errors import SwarmError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accounts:
    """All parts of it, made once."""

    database: Database
    vault: Vault
    owners: Owners
    sessions: Sessions
    challenges: Challenges
    passkeys: Passkeys
    wallets: Wallets
    claim: Claim
    org_id: str  # what stock nodes name themselves by
    lock: int  # the descriptor that keeps a second process out

    @classmethod
    def open(cls, settings: IdentitySettings) -> Accounts:
        """Everything in STATE_DIR/identity, made at the first start. Raises SwarmError."""
        lock = take_lock(settings.home)
        try:
            return cls._open(settings, lock)
        except BaseException:  # cancelled, too; it goes on as it came
            os.close(lock)
            raise

    @classmethod
    def _open(cls, settings: IdentitySettings, lock: int) -> Accounts:
        secret = settings.passphrase()
        fast = settings.kdf == "fast"
        database = Database(settings.home)
        vault = Vault(database, fast=fast, adopt=settings.state_dir / "coordinator" / "account.key")
        vault.start(secret)
        owners = Owners(database, Hashes(fast=fast), Throttle(database), vault)
        sessions = Sessions(database, settings.session_idle_h * 3600, settings.session_days * 86_400)
        challenges = Challenges(database)
        claim = Claim(settings.home / "claim.code", needed=settings.reachable)
        claim.prepare(owner=owners.name())
        _warn(settings)
        return cls(
            database,
            vault,
            owners,
            sessions,
            challenges,
            Passkeys(database, challenges),
            Wallets(database, challenges),
            claim,
            org_id(database),
            lock,
        )

    def close(self) -> None:
        """Let go of the files."""
        self.database.close()
        os.close(self.lock)


def _warn(settings: IdentitySettings) -> None:
    if settings.reachable and settings.view == "open":
        log.warning("whoever reaches this page may read it: IDENTITY_VIEW=login shows it to the owner only")
    if settings.reachable and not settings.tls:
        log.warning("others can reach this page, and it has no TLS: put a proxy before it, and set IDENTITY_TLS=true")


def take_lock(folder: Path) -> int:
    """A descriptor that holds the folder for one process. Raises SwarmError while another has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SwarmError(f"{folder} is in use: identity runs", "stop it first") from error
    return descriptor
