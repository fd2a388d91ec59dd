"""Sign-up, login and logout as plain forms; they work without JavaScript."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from services.identity.accounts.owners import LoginError
from services.identity.parts import Parts, PartsOf
from services.identity.web import cookies
from services.identity.web.door import STALE_FORM, Address, OwnForm, check_code, enter, show
from services.identity.web.guard import Owner
from services.identity.web.site import safe_next

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form()]


@router.get("/signup")
def signup_page(request: Request, parts: PartsOf, next: str = "") -> Response:
    """The form of the first visitor; once there is an owner, the login."""
    if parts.accounts.owners.name() is not None:
        return _to("/login", next)
    return _signup(request, parts, next)


@router.post("/signup")
def sign_up(
    request: Request,
    parts: PartsOf,
    own: OwnForm,
    address: Address,
    name: Text = "",
    passphrase: Text = "",
    again: Text = "",
    code: Text = "",
    next: Text = "",
) -> Response:
    """Become the owner."""
    accounts = parts.accounts
    try:
        _check_form(own)
        check_code(parts, code, address)
        if passphrase != again:
            raise LoginError("The two passphrases differ.", "again")
        accounts.owners.sign_up(name, passphrase)
    except LoginError as problem:
        return _signup(request, parts, next, problem, name)
    accounts.claim.used()
    return _entered(request, parts, next, "sign-up")


@router.get("/login")
def login_page(request: Request, parts: PartsOf, next: str = "", again: str = "") -> Response:
    """The form; with `again`, also for somebody who is logged in and has to show that it is still them."""
    if parts.accounts.owners.name() is None:
        return _to("/signup", next)
    token = cookies.read(request, parts.settings, cookies.SESSION)
    if token and not again and parts.accounts.sessions.find(token):
        return RedirectResponse(safe_next(next), 303)
    return _login(request, parts, next)


@router.post("/login")
def log_in(
    request: Request,
    parts: PartsOf,
    own: OwnForm,
    address: Address,
    name: Text = "",
    passphrase: Text = "",
    next: Text = "",
) -> Response:
    """By passphrase; opens the key."""
    try:
        _check_form(own)
        welcome = parts.accounts.owners.log_in(name, passphrase, address)
    except LoginError as problem:
        return _login(request, parts, next, problem, name)
    return _entered(request, parts, "/account" if welcome.notice else next, "passphrase")


@router.post("/logout")
def log_out(request: Request, parts: PartsOf, session: Owner) -> Response:
    """End the session; the key stays open, the node goes on."""
    parts.accounts.sessions.end(session.id)
    gone = RedirectResponse("/", 303)
    cookies.erase(gone, request, parts.settings, cookies.SESSION)
    gone.headers["Cache-Control"] = "no-store"
    return gone


def _check_form(own: bool) -> None:
    if not own:
        raise LoginError(STALE_FORM, status=403)


def _signup(request: Request, parts: Parts, next_: str, problem: LoginError | None = None, name: str = "") -> Response:
    claim = parts.accounts.claim
    return show(
        request,
        parts,
        "signup.html",
        problem,
        next=safe_next(next_),
        name=name[:100],
        claim=claim.path if claim.needed else None,
        vault=parts.accounts.vault,
        without=parts.accounts.vault.opens_itself(),
    )


def _login(request: Request, parts: Parts, next_: str, problem: LoginError | None = None, name: str = "") -> Response:
    return show(request, parts, "login.html", problem, next=safe_next(next_), name=name[:100])


def _entered(request: Request, parts: Parts, next_: str, way: str) -> Response:
    response = RedirectResponse(safe_next(next_), 303)
    enter(response, request, parts, way)
    return response


def _to(path: str, next_: str) -> Response:
    target = safe_next(next_)
    return RedirectResponse(path if target == "/" else f"{path}?{urlencode({'next': target})}", 303)
