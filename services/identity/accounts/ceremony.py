"""What browsers and passkeys are asked and how their answers are checked, by py_webauthn. No database."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.base64url_to_bytes import base64url_to_bytes
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from services.identity.accounts.refusal import LoginError
from services.identity.accounts.site import Site

REFUSED = "This passkey was not accepted."


def to_make(site: Site, name: str, handle: bytes, challenge: bytes, known: Iterable[bytes] = ()) -> dict[str, Any]:
    """What navigator.credentials.create() is asked for: a passkey that can be found without a name."""
    options = generate_registration_options(
        rp_id=site.host,
        rp_name="RL Swarm",
        user_name=name,
        user_id=handle,
        challenge=challenge,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=id_) for id_ in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return _as_json(options_to_json(options))


def made(credential: dict[str, Any], site: Site, challenge: bytes) -> VerifiedRegistration:
    """Its answer, checked. Raises LoginError."""
    try:
        return verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
        )
    except Exception as error:  # whatever a forged answer makes the parsers of CBOR, X.509 and keys raise
        raise LoginError(REFUSED) from error


def to_show(site: Site, challenge: bytes) -> dict[str, Any]:
    """What navigator.credentials.get() is asked for: any passkey of this site, no name needed."""
    return _as_json(options_to_json(generate_authentication_options(rp_id=site.host, challenge=challenge)))


def shown(
    credential: dict[str, Any], site: Site, challenge: bytes, public_key: bytes, sign_count: int
) -> VerifiedAuthentication:
    """Its answer, checked. Raises LoginError."""
    try:
        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
        )
    except Exception as error:  # as in `made`
        raise LoginError(REFUSED, status=401) from error


def told_challenge(credential: dict[str, Any]) -> bytes:
    """The challenge that an answer names. Raises LoginError."""
    try:
        return parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"])).challenge
    except Exception as error:  # a stranger's JSON, parsed by a library
        raise LoginError(REFUSED) from error


def _as_json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
