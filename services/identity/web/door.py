"""Before the login: forms and requests of a browser that is nobody yet, and how it becomes the owner's."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from services.identity.accounts.owners import LoginError
from services.identity.accounts.sessions import digest
from services.identity.parts import Parts, PartsOf
from services.identity.web import cookies
from services.identity.web.guard import STALE, sent_csrf
from services.identity.web.pages import render
from services.identity.web.site import address_of

log = logging.getLogger(__name__)

STALE_FORM = "This form was open for too long. Please send it again."


async def _own_form(request: Request, parts: PartsOf) -> bool:
    door = cookies.read(request, parts.settings, cookies.DOOR)
    return cookies.door_fits(door, await sent_csrf(request))


OwnForm = Annotated[bool, Depends(_own_form)]
"""Whether the form that is sent was shown by us in this browser."""


def _browser(request: Request, parts: PartsOf, own: OwnForm) -> str:
    if not own:
        raise HTTPException(403, STALE)
    return digest(cookies.read(request, parts.settings, cookies.DOOR) or "")


Browser = Annotated[str, Depends(_browser)]
"""The browser that a script of ours runs in, by a name that only we know; 403 without the token of its page."""


def _address(request: Request, parts: PartsOf) -> str:
    return address_of(request, parts.settings)


Address = Annotated[str, Depends(_address)]
"""The client's address."""


def show(request: Request, parts: Parts, template: str, problem: LoginError | None = None, **context: Any) -> Response:
    """A page with a form for somebody who is not logged in."""
    door = cookies.read(request, parts.settings, cookies.DOOR) or secrets.token_urlsafe(32)
    page: HTMLResponse = render(
        request,
        parts,
        template,
        None,
        status=problem.status if problem else 200,
        headers=retry_after(problem),
        csrf=cookies.door_token(door),
        problem=problem,
        at_door=True,
        **context,
    )
    cookies.write(page, request, parts.settings, cookies.DOOR, door, None)
    return page


def enter(response: Response, request: Request, parts: Parts, way: str) -> str:
    """Log this browser in, under a new token; the token."""
    log.info("the owner is in, by %s, from %s", way, address_of(request, parts.settings))
    former = cookies.read(request, parts.settings, cookies.SESSION)
    token = parts.accounts.sessions.begin(request.headers.get("user-agent", ""), former)
    cookies.write(response, request, parts.settings, cookies.SESSION, token, parts.settings.session_days * 86_400)
    cookies.erase(response, request, parts.settings, cookies.DOOR)
    response.headers["Cache-Control"] = "no-store"
    return token


def check_code(parts: Parts, code: str, address: str) -> None:
    """Where others reach the page, whoever signs up first needs the code of claim.code. Raises LoginError."""
    accounts = parts.accounts
    if not accounts.claim.needed:
        return
    accounts.owners.count_try("sign-up", address)
    if not accounts.claim.fits(code):
        raise LoginError("This is not the code in the file.", "code", 403)
    accounts.owners.forgive("sign-up", address)


def retry_after(problem: LoginError | None) -> Mapping[str, str]:
    """The header that tells programs how long to wait."""
    return {"Retry-After": str(problem.retry_s)} if problem and problem.retry_s else {}
