"""The owner's page: ways to log in, the key (key.py), sessions, and what was signed. Plain forms."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from services.identity.accounts.db import Database
from services.identity.accounts.owners import LoginError
from services.identity.accounts.sessions import Session
from services.identity.accounts.tables import SIGNATURES
from services.identity.parts import Parts, PartsOf
from services.identity.web.door import Address, enter, retry_after
from services.identity.web.guard import Owner
from services.identity.web.pages import render
from services.identity.web.recent import check_recent

log = logging.getLogger(__name__)

router = APIRouter(prefix="/account", include_in_schema=False)

Text = Annotated[str, Form()]

LAST_SIGNATURES = 30
DONE = {
    "passphrase": "The passphrase is changed. Every other browser is logged out.",
    "first": "The passphrase is set: it logs you in and opens the key. Every other browser is logged out.",
    "unlock": "The key is open: your node signs.",
    "import": "The key of the file is this household's now.",
    "sessions": "Logged out there.",
    "passkey": "Done. See your passkeys below.",
    "wallet": "Done. See your wallets below.",
}


@router.get("")
def page(request: Request, parts: PartsOf, session: Owner, done: str = "") -> Response:
    """The page."""
    return show_account(request, parts, session, said=DONE.get(done, ""))


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
    """Another passphrase, or the first; all sessions end, this browser gets a new one."""
    owners = parts.accounts.owners
    first = not owners.has_passphrase()
    try:
        check_same(new, again)
        if first:
            check_recent(session)
            owners.set_first(session.name, new)
        else:
            owners.change(session.name, old, new, address)
    except LoginError as problem:
        return show_account(request, parts, session, "passphrase", problem)
    parts.accounts.sessions.end_all()
    response = done("first" if first else "passphrase")
    log.info("the passphrase was %s from %s; every session ended", "set" if first else "changed", address)
    enter(response, request, parts, "the new passphrase")
    return response


@router.post("/sessions/end")
def end_sessions(parts: PartsOf, session: Owner, id: Text = "") -> Response:
    """Log out one browser, or all others."""
    if id:
        parts.accounts.sessions.end(id)
    else:
        parts.accounts.sessions.end_all(but=session.id)
    return done("sessions")


@router.post("/passkeys/remove")
def remove_passkey(request: Request, parts: PartsOf, session: Owner, id: Text = "") -> Response:
    """Take away a way to log in."""
    return _without(request, parts, session, "passkey", lambda: parts.accounts.passkeys.remove(id))


@router.post("/wallets/remove")
def remove_wallet(request: Request, parts: PartsOf, session: Owner, wallet: Text = "") -> Response:
    """Take away a way to log in."""
    return _without(request, parts, session, "wallet", lambda: parts.accounts.wallets.remove(wallet))


def _without(request: Request, parts: Parts, session: Session, way: str, remove: Callable[[], None]) -> Response:
    try:
        check_recent(session)
        remove()
    except LoginError as problem:
        return show_account(request, parts, session, way, problem)
    log.info("a %s was removed", way)
    return done(way)


def show_account(
    request: Request,
    parts: Parts,
    session: Session,
    sent: str = "",
    problem: LoginError | None = None,
    said: str = "",
) -> Response:
    """The page, with what was wrong with the form that was sent, or what was done."""
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
        done=said,
        vault=accounts.vault,
        org_id=accounts.org_id,
        has_passphrase=accounts.owners.has_passphrase(),
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


def check_same(new: str, again: str) -> None:
    """Raises LoginError if what was typed twice differs."""
    if new != again:
        raise LoginError("The two passphrases differ.", "again")


def done(what: str) -> Response:
    """Back to the page, which says so."""
    return RedirectResponse(f"/account?done={what}", 303)
