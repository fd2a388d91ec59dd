"""Passkeys, as static/passkey.js asks for them."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.identity.parts import PartsOf
from services.identity.web.door import Browser, enter
from services.identity.web.recent import RecentOwner
from services.identity.web.session import SAYS_WHY
from services.identity.web.site import safe_next, site_of

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/passkeys", responses=SAYS_WHY)


class Made(BaseModel):
    """A new passkey, as navigator.credentials.create() returns it."""

    credential: dict[str, Any]
    label: str = Field("", max_length=60)


class Shown(BaseModel):
    """An answer of a passkey, as navigator.credentials.get() returns it."""

    credential: dict[str, Any]
    next: str = Field("", max_length=500)


class Entered(BaseModel):
    """Logged in; the cookie comes beside it."""

    next: str  # where to go now


@router.post("/options")
def ask_for_new(request: Request, parts: PartsOf, session: RecentOwner) -> dict[str, Any]:
    """What to ask navigator.credentials.create() for."""
    site = site_of(request, parts.settings)
    return parts.accounts.passkeys.begin_registration(site, session.id)


@router.post("", status_code=204)
def add(request: Request, parts: PartsOf, session: RecentOwner, made: Made) -> None:
    """Let a new passkey log in from now on."""
    site = site_of(request, parts.settings)
    parts.accounts.passkeys.register(made.credential, made.label, site, session.id)
    log.info("a passkey was added")


@router.post("/login/options")
def ask(request: Request, parts: PartsOf, browser: Browser) -> dict[str, Any]:
    """What to ask navigator.credentials.get() for."""
    return parts.accounts.passkeys.begin_login(site_of(request, parts.settings), browser)


@router.post("/login")
def log_in(request: Request, response: Response, parts: PartsOf, browser: Browser, shown: Shown) -> Entered:
    """Log in by passkey. The key stays as it is: only a passphrase opens it."""
    parts.accounts.passkeys.log_in(shown.credential, site_of(request, parts.settings), browser)
    enter(response, request, parts, "passkey")
    return Entered(next=safe_next(shown.next))
