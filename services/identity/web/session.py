"""Sign-up and login for programs: `rlswarm login` in a terminal."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from services.identity.parts import PartsOf
from services.identity.web import cookies
from services.identity.web.door import Address, check_code, enter
from services.identity.web.guard import Owner, sent_csrf

router = APIRouter(prefix="/api")

SAYS_WHY: dict[int | str, dict[str, Any]] = {
    401: {"description": "not logged in, or name or passphrase wrong"},
    403: {"description": "the token of the session is missing"},
    429: {"description": "too many tries; Retry-After says how many seconds to wait"},
}


class Login(BaseModel):
    """Name and passphrase."""

    name: str = Field(max_length=200)
    passphrase: str = Field(max_length=1024)


class SignUp(Login):
    """Name and passphrase to be."""

    code: str = Field("", max_length=100)  # what lies in claim.code, where others reach this page


class Household(BaseModel):
    """Whether somebody has signed up."""

    owned: bool


class Account(BaseModel):
    """The household's account on the chain."""

    address: str | None  # 0x...; None before there is one
    key: Literal["none", "locked", "ready"]
    org_id: str  # what stock nodes of this household name themselves by


class Started(BaseModel):
    """A session that is on. The cookie comes beside it."""

    name: str  # the owner's
    csrf: str  # to be sent as X-CSRF-Token with whatever changes anything
    notice: str = ""  # why the key could not be opened, if so


async def _same_site(request: Request) -> None:
    """Another site's page cannot log a browser in: it may not send JSON, and browsers say where it comes from."""
    await sent_csrf(request)


@router.post("/session", responses=SAYS_WHY, dependencies=[Depends(_same_site)])
def log_in(request: Request, response: Response, parts: PartsOf, address: Address, login: Login) -> Started:
    """Log in by passphrase; opens the key."""
    welcome = parts.accounts.owners.log_in(login.name, login.passphrase, address)
    token = enter(response, request, parts, "passphrase, a program")
    session = parts.accounts.sessions.find(token)
    return Started(name=welcome.name, csrf=session.csrf if session else "", notice=welcome.notice)


@router.get("/owner")
def is_owned(parts: PartsOf) -> Household:
    """Whether there is an owner yet."""
    return Household(owned=parts.accounts.owners.name() is not None)


@router.post("/owner", responses=SAYS_WHY, dependencies=[Depends(_same_site)])
def sign_up(request: Request, response: Response, parts: PartsOf, address: Address, wanted: SignUp) -> Started:
    """Become the owner."""
    check_code(parts, wanted.code, address)
    parts.accounts.owners.sign_up(wanted.name, wanted.passphrase)
    parts.accounts.claim.used()
    token = enter(response, request, parts, "sign-up, a program")
    session = parts.accounts.sessions.find(token)
    return Started(name=session.name if session else "", csrf=session.csrf if session else "")


@router.get("/account", responses=SAYS_WHY)
def account(parts: PartsOf, _session: Owner) -> Account:
    """The account, and whether its key is open."""
    vault = parts.accounts.vault
    return Account(address=vault.address, key=vault.state, org_id=parts.accounts.org_id)


@router.get("/session", responses=SAYS_WHY)
def who(session: Owner) -> Started:
    """Whose session this is."""
    return Started(name=session.name, csrf=session.csrf)


@router.delete("/session", status_code=204, responses=SAYS_WHY)
def log_out(request: Request, response: Response, parts: PartsOf, session: Owner) -> None:
    """End it."""
    parts.accounts.sessions.end(session.id)
    cookies.erase(response, request, parts.settings, cookies.SESSION)
