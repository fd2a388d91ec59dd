"""The owner's page: ways to log in, the key, sessions, and what was signed. Plain forms."""

from __future__ import annotations

import logging
import time
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from services.identity.accounts.db import Database
from services.identity.accounts.owners import LoginError, sentence
from services.identity.accounts.passphrase import normal
from services.identity.accounts.sessions import Session
from services.identity.accounts.tables import SIGNATURES
from services.identity.accounts.vault import VaultError
from services.identity.parts import Parts, PartsOf
from services.identity.web.door import Address, enter, retry_after
from services.identity.web.guard import Owner
from services.identity.web.pages import render
from services.identity.web.recent import AGAIN

log = logging.getLogger(__name__)

router = APIRouter(prefix="/account", include_in_schema=False)

Text = Annotated[str, Form()]

LAST_SIGNATURES = 30
DONE = {
    "passphrase": "The passphrase is changed. Every other browser is logged out.",
    "unlock": "The key is open: your node signs.",
    "import": "The key of the file is this household's now.",
    "sessions": "Logged out there.",
    "passkey": "Done. See your passkeys below.",
    "wallet": "Done. See your wallets below.",
}


@router.get("")
def page(request: Request, parts: PartsOf, session: Owner, done: str = "") -> Response:
    """The page."""
    return _show(request, parts, session, done=DONE.get(done, ""))


@router.post("/passphrase")
def change_passphrase(
    request: Request,
    parts: PartsOf,
    session: Owner,
    address: Address,
    old: Text = "",
    new: Text = "",
    again: Text = "",
) -> Response:
    """Another passphrase; all sessions end, this browser gets a new one."""
    try:
        if new != again:
            raise LoginError("The two passphrases differ.", "again")
        parts.accounts.owners.change(session.name, old, new, address)
    except LoginError as problem:
        return _show(request, parts, session, "passphrase", problem)
    parts.accounts.sessions.end_all()
    response = _done("passphrase")
    log.info("the passphrase was changed from %s; every session ended", address)
    enter(response, request, parts, "the new passphrase")
    return response


@router.post("/unlock")
def unlock(request: Request, parts: PartsOf, session: Owner, address: Address, passphrase: Text = "") -> Response:
    """Open the key with the passphrase that it is encrypted with, if that is not the one of the login."""
    try:
        parts.accounts.owners.count_try("unlock", address)
        parts.accounts.vault.unlock(normal(passphrase))
    except VaultError as error:
        return _show(request, parts, session, "unlock", _said(error, "passphrase"))
    except LoginError as problem:
        return _show(request, parts, session, "unlock", problem)
    parts.accounts.owners.forgive("unlock", address)
    return _done("unlock")


@router.post("/export")
def export(request: Request, parts: PartsOf, session: Owner, address: Address, passphrase: Text = "") -> Response:
    """The key as a file, encrypted with the owner's passphrase, which is asked for again."""
    accounts = parts.accounts
    try:
        accounts.owners.log_in(session.name, passphrase, address)
        text = accounts.vault.export(normal(passphrase))
    except LoginError as problem:
        return _show(request, parts, session, "export", problem)
    except VaultError as error:
        return _show(request, parts, session, "export", _said(error))
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
    try:
        if not sure:
            raise LoginError("Confirm that the key is to be replaced.", "sure")
        accounts.owners.verify(session.name, passphrase, address)
        text = file.file.read().decode(errors="replace") if file else ""
        accounts.vault.import_keystore(text, file_passphrase, normal(passphrase))
    except LoginError as problem:
        return _show(request, parts, session, "import", problem)
    except VaultError as error:
        return _show(request, parts, session, "import", _said(error, "file"))
    return _done("import")


@router.post("/sessions/end")
def end_sessions(parts: PartsOf, session: Owner, id: Text = "") -> Response:
    """Log out one browser, or all others."""
    if id:
        parts.accounts.sessions.end(id)
    else:
        parts.accounts.sessions.end_all(but=session.id)
    return _done("sessions")


@router.post("/passkeys/remove")
def remove_passkey(request: Request, parts: PartsOf, session: Owner, id: Text = "") -> Response:
    """Take away a way to log in."""
    if not session.is_recent(time.time()):
        return _show(request, parts, session, "passkey", LoginError(AGAIN, "again", 403))
    parts.accounts.passkeys.remove(id)
    log.info("a passkey was removed")
    return _done("passkey")


@router.post("/wallets/remove")
def remove_wallet(request: Request, parts: PartsOf, session: Owner, wallet: Text = "") -> Response:
    """Take away a way to log in."""
    if not session.is_recent(time.time()):
        return _show(request, parts, session, "wallet", LoginError(AGAIN, "again", 403))
    parts.accounts.wallets.remove(wallet)
    log.info("a wallet was removed")
    return _done("wallet")


def _show(
    request: Request,
    parts: Parts,
    session: Session,
    sent: str = "",
    problem: LoginError | None = None,
    done: str = "",
) -> Response:
    accounts = parts.accounts
    return render(
        request,
        parts,
        "account.html",
        session,
        status=problem.status if problem else 200,
        headers=retry_after(problem),
        csrf=session.csrf,
        sent=sent,
        problem=problem,
        done=done,
        vault=accounts.vault,
        org_id=accounts.org_id,
        passkeys=accounts.passkeys.all(),
        wallets=accounts.wallets.all(),
        sessions=accounts.sessions.all(),
        signatures=last_signatures(accounts.database),
    )


def last_signatures(database: Database) -> list[dict[str, Any]]:
    """What was signed, the latest first."""
    query = select(SIGNATURES).order_by(SIGNATURES.c.id.desc()).limit(LAST_SIGNATURES)
    with database.begin() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def _done(what: str) -> Response:
    return RedirectResponse(f"/account?done={what}", 303)


def _said(error: VaultError, field: str = "") -> LoginError:
    return LoginError(sentence(error), field)
