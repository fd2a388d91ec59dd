"""Passkeys (WebAuthn), one challenge for each question (ceremony.py)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from webauthn.helpers import bytes_to_base64url, generate_challenge
from webauthn.helpers.base64url_to_bytes import base64url_to_bytes

from services.identity.accounts import ceremony
from services.identity.accounts.challenges import Challenges
from services.identity.accounts.db import Database
from services.identity.accounts.newcomer import Newcomer, check_ways, clean_name, new_handle
from services.identity.accounts.refusal import LoginError
from services.identity.accounts.site import Site
from services.identity.accounts.tables import OWNER, PASSKEYS

REGISTER, LOGIN, SIGN_UP = "passkey register", "passkey login", "passkey sign-up"
MAX_PASSKEYS = 10


@dataclass(frozen=True)
class Passkey:
    """One of the owner's."""

    id: str  # base64url
    label: str
    created: float
    used: float | None


class Passkeys:
    """The owner's."""

    def __init__(self, database: Database, challenges: Challenges) -> None:
        self._database, self._challenges = database, challenges

    def all(self) -> list[Passkey]:
        """Every passkey, the oldest first."""
        with self._database.begin() as connection:
            rows = connection.execute(select(PASSKEYS).order_by(PASSKEYS.c.created)).all()
        return [Passkey(bytes_to_base64url(row.credential_id), row.label, row.created, row.used) for row in rows]

    def begin_registration(self, site: Site, browser: str) -> dict[str, Any]:
        """What the browser is asked. Raises LoginError."""
        with self._database.begin() as connection:
            owner = connection.execute(select(OWNER)).one()
            known = connection.scalars(select(PASSKEYS.c.credential_id)).all()
        if len(known) >= MAX_PASSKEYS:
            raise LoginError(f"There are {MAX_PASSKEYS} passkeys already: remove one first.", status=409)
        return ceremony.to_make(site, owner.name, owner.handle, self._ask(REGISTER, browser), known)

    def register(self, credential: dict[str, Any], label: str, site: Site, browser: str) -> None:
        """Take the browser's answer. Raises LoginError."""
        challenge, _ = self._asked(credential, REGISTER, browser)
        row = _row(credential, label, site, challenge)
        try:
            with self._database.begin() as connection:
                connection.execute(insert(PASSKEYS).values(row))
        except IntegrityError as error:
            raise LoginError("This passkey is known already.", status=409) from error

    def begin_sign_up(self, name: str, site: Site, browser: str) -> dict[str, Any]:
        """What the browser of somebody who would be the owner is asked. Raises LoginError."""
        name, handle = clean_name(name), new_handle()
        kept = json.dumps({"name": name, "handle": handle.hex()})
        return ceremony.to_make(site, name, handle, self._ask(SIGN_UP, browser, kept))

    def newcomer(self, credential: dict[str, Any], site: Site, browser: str) -> Newcomer:
        """Who would be the owner and log in by this passkey, made as `begin_sign_up` asked. Raises LoginError."""
        challenge, kept = self._asked(credential, SIGN_UP, browser)
        row, told = _row(credential, "", site, challenge), json.loads(kept)

        def add(connection: Connection) -> None:
            connection.execute(insert(PASSKEYS).values(row))

        return Newcomer(told["name"], add, bytes.fromhex(told["handle"]))

    def begin_login(self, site: Site, browser: str) -> dict[str, Any]:
        """What the browser is asked."""
        return ceremony.to_show(site, self._ask(LOGIN, browser))

    def log_in(self, credential: dict[str, Any], site: Site, browser: str) -> None:
        """Let the owner in, or raise LoginError, the same for an unknown passkey as for a wrong signature."""
        challenge, _ = self._asked(credential, LOGIN, browser)
        try:
            id_ = base64url_to_bytes(str(credential.get("id", "")))
        except ValueError as error:
            raise LoginError(ceremony.REFUSED, status=401) from error
        with self._database.begin() as connection:
            row = connection.execute(select(PASSKEYS).where(PASSKEYS.c.credential_id == id_)).one_or_none()
            if row is None:
                raise LoginError(ceremony.REFUSED, status=401)
            done = ceremony.shown(credential, site, challenge, row.public_key, row.sign_count)
            values = {"sign_count": done.new_sign_count, "used": time.time()}
            connection.execute(update(PASSKEYS).where(PASSKEYS.c.credential_id == id_).values(values))

    def remove(self, id_: str) -> None:
        """Forget one. Raises LoginError if nothing else lets the owner in."""
        try:
            raw = base64url_to_bytes(id_)
        except ValueError:
            return
        with self._database.begin() as connection:
            connection.execute(delete(PASSKEYS).where(PASSKEYS.c.credential_id == raw))
            check_ways(connection)

    def _ask(self, purpose: str, browser: str, kept: str = "") -> bytes:
        """A new challenge; `kept` comes back with the answer."""
        challenge = generate_challenge()
        self._challenges.put(bytes_to_base64url(challenge), purpose, browser, kept)
        return challenge

    def _asked(self, credential: dict[str, Any], purpose: str, browser: str) -> tuple[bytes, str]:
        """The challenge that the answer names, if we asked it, and what was kept with it; used up."""
        told = ceremony.told_challenge(credential)
        kept = self._challenges.take(bytes_to_base64url(told), purpose, browser)
        if kept is None:
            raise LoginError("This took too long. Try again.")
        return told, kept


def _row(credential: dict[str, Any], label: str, site: Site, challenge: bytes) -> dict[str, Any]:
    made = ceremony.made(credential, site, challenge)
    return {
        "credential_id": made.credential_id,
        "owner_id": 1,
        "public_key": made.credential_public_key,
        "sign_count": made.sign_count,
        "label": _label(label),
        "created": time.time(),
    }


def _label(label: str) -> str:
    shown = "".join(letter for letter in label if letter.isprintable()).strip()[:60]
    return shown or "Passkey"
