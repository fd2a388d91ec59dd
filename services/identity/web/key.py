"""The household's key on the owner's page: open it, take it along, replace it. Plain forms.

Export and import ask for the owner's passphrase; of an owner who has none, for a login of a moment ago.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import Response

from services.identity.accounts.owners import LoginError, sentence
from services.identity.accounts.passphrase import normal
from services.identity.accounts.vault import VaultError
from services.identity.parts import PartsOf
from services.identity.web.account import Text, check_same, done, show_account
from services.identity.web.door import Address
from services.identity.web.guard import Owner
from services.identity.web.recent import check_recent

log = logging.getLogger(__name__)

router = APIRouter(prefix="/account", include_in_schema=False)


@router.post("/unlock")
def unlock(request: Request, parts: PartsOf, session: Owner, address: Address, passphrase: Text = "") -> Response:
    """Open the key with the passphrase that it is encrypted with, if that is not the one of the login."""
    try:
        parts.accounts.owners.count_try("unlock", address)
        parts.accounts.vault.unlock(normal(passphrase))
    except VaultError as error:
        return show_account(request, parts, session, "unlock", _said(error, "passphrase"))
    except LoginError as problem:
        return show_account(request, parts, session, "unlock", problem)
    parts.accounts.owners.forgive("unlock", address)
    return done("unlock")


@router.post("/export")
def export(
    request: Request, parts: PartsOf, session: Owner, address: Address, passphrase: Text = "", again: Text = ""
) -> Response:
    """The key as a file, encrypted with the owner's passphrase, which is asked for again, or with one for the file."""
    accounts = parts.accounts
    try:
        if accounts.owners.has_passphrase():
            accounts.owners.log_in(session.name, passphrase, address)
        else:
            check_recent(session)
            check_same(passphrase, again)
            accounts.owners.check_new(session.name, passphrase, "passphrase")
        text = accounts.vault.export(normal(passphrase))
    except LoginError as problem:
        return show_account(request, parts, session, "export", problem)
    except VaultError as error:
        return show_account(request, parts, session, "export", _said(error))
    log.info("the key was exported to %s", address)
    name = f"rlswarm-{accounts.vault.address}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, media_type="application/json", headers=headers)


@router.post("/import")
def import_key(
    request: Request,
    parts: PartsOf,
    session: Owner,
    address: Address,
    file: Annotated[UploadFile | None, File()] = None,
    file_passphrase: Text = "",
    passphrase: Text = "",
    sure: Text = "",
) -> Response:
    """Another key in place of this one."""
    accounts = parts.accounts
    known = accounts.owners.has_passphrase()
    try:
        if not sure:
            raise LoginError("Confirm that the key is to be replaced.", "sure")
        if known:
            accounts.owners.verify(session.name, passphrase, address)
        else:
            check_recent(session)
        text = file.file.read().decode(errors="replace") if file else ""
        accounts.vault.import_keystore(text, file_passphrase, normal(passphrase) if known else None)
    except LoginError as problem:
        return show_account(request, parts, session, "import", problem)
    except VaultError as error:
        return show_account(request, parts, session, "import", _said(error, "file"))
    return done("import")


def _said(error: VaultError, field: str = "") -> LoginError:
    return LoginError(sentence(error), field)
