"""Passkeys (WebAuthn): registered and asked for by py_webauthn, one challenge for each."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import bytes_to_base64url, generate_challenge, parse_client_data_json
from webauthn.helpers.base64url_to_bytes import base64url_to_bytes
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from services.identity.accounts.challenges import Challenges
from services.identity.accounts.db import Database
from services.identity.accounts.owners import LoginError
from services.identity.accounts.site import Site
from services.identity.accounts.tables import OWNER, PASSKEYS

REGISTER, LOGIN = "passkey register", "passkey login"
MAX_PASSKEYS = 10
REFUSED = "This passkey was not accepted."


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

    def begin_registration(self, site: Site, browser: str) -> str:
        """What the browser is asked, as JSON. Raises LoginError."""
        with self._database.begin() as connection:
            owner = connection.execute(select(OWNER)).one()
            known = connection.scalars(select(PASSKEYS.c.credential_id)).all()
        if len(known) >= MAX_PASSKEYS:
            raise LoginError(f"There are {MAX_PASSKEYS} passkeys already: remove one first.", status=409)
        challenge = generate_challenge()
        self._challenges.put(bytes_to_base64url(challenge), REGISTER, browser, "")
        options = generate_registration_options(
            rp_id=site.host,
            rp_name="RL Swarm",
            user_name=owner.name,
            user_id=owner.handle,
            challenge=challenge,
            exclude_credentials=[PublicKeyCredentialDescriptor(id=id_) for id_ in known],
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.PREFERRED
            ),
        )
        return options_to_json(options)

    def register(self, credential: dict[str, Any], label: str, site: Site, browser: str) -> None:
        """Take the browser's answer. Raises LoginError."""
        challenge = self._challenge(credential, REGISTER, browser)
        try:
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=site.host,
                expected_origin=site.origin,
            )
        except Exception as error:  # whatever a forged answer makes the parsers of CBOR, X.509 and keys raise
            raise LoginError(REFUSED) from error
        row = {
            "credential_id": made.credential_id,
            "owner_id": 1,
            "public_key": made.credential_public_key,
            "sign_count": made.sign_count,
            "label": _label(label),
            "created": time.time(),
        }
        try:
            with self._database.begin() as connection:
                connection.execute(insert(PASSKEYS).values(row))
        except IntegrityError as error:
            raise LoginError("This passkey is known already.", status=409) from error

    def begin_login(self, site: Site, browser: str) -> str:
        """What the browser is asked, as JSON: any passkey of this site, no name needed."""
        challenge = generate_challenge()
        self._challenges.put(bytes_to_base64url(challenge), LOGIN, browser, "")
        return options_to_json(generate_authentication_options(rp_id=site.host, challenge=challenge))

    def log_in(self, credential: dict[str, Any], site: Site, browser: str) -> None:
        """Let the owner in, or raise LoginError, the same for an unknown passkey as for a wrong signature."""
        challenge = self._challenge(credential, LOGIN, browser)
        try:
            id_ = base64url_to_bytes(str(credential.get("id", "")))
        except ValueError as error:
            raise LoginError(REFUSED, status=401) from error
        with self._database.begin() as connection:
            row = connection.execute(select(PASSKEYS).where(PASSKEYS.c.credential_id == id_)).one_or_none()
            if row is None:
                raise LoginError(REFUSED, status=401)
            try:
                done = verify_authentication_response(
                    credential=credential,
                    expected_challenge=challenge,
                    expected_rp_id=site.host,
                    expected_origin=site.origin,
                    credential_public_key=row.public_key,
                    credential_current_sign_count=row.sign_count,
                )
            except Exception as error:  # as in `register`
                raise LoginError(REFUSED, status=401) from error
            values = {"sign_count": done.new_sign_count, "used": time.time()}
            connection.execute(update(PASSKEYS).where(PASSKEYS.c.credential_id == id_).values(values))

    def remove(self, id_: str) -> None:
        """Forget one."""
        try:
            raw = base64url_to_bytes(id_)
        except ValueError:
            return
        with self._database.begin() as connection:
            connection.execute(delete(PASSKEYS).where(PASSKEYS.c.credential_id == raw))

    def _challenge(self, credential: dict[str, Any], purpose: str, browser: str) -> bytes:
        """The challenge that the answer names, if we asked it; used up."""
        try:
            told = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).challenge
        except Exception as error:  # a stranger's JSON, parsed by a library
            raise LoginError(REFUSED) from error
        if self._challenges.take(bytes_to_base64url(told), purpose, browser) is None:
            raise LoginError("This took too long. Try again.")
        return told


def _label(label: str) -> str:
    shown = "".join(letter for letter in label if letter.isprintable()).strip()[:60]
    return shown or "Passkey"


def as_json(text: str) -> dict[str, Any]:
    """Options as a route returns them."""
    found: dict[str, Any] = json.loads(text)
    return found
