"""Who asks: the owner's session, and the token against forged requests.

    Owner    the owner, or 401 (/api/), or off to the login
    Visitor  the owner or nobody, for pages that show more to the owner
    Viewer   as Owner if IDENTITY_VIEW=login, else as Visitor

What changes anything (not GET, not HEAD) also needs the session's token: form field `csrf`, or header X-CSRF-Token.
"""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request

from services.identity.accounts.sessions import Session
from services.identity.parts import PartsOf
from services.identity.web import cookies

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
STALE = "this form was not sent by this page, or is too old: load the page again"


async def visitor(request: Request, parts: PartsOf) -> Session | None:
    """The session the browser brings, if it is on; a request that changes something must bring its token, too."""
    token = cookies.read(request, parts.settings, cookies.SESSION)
    session = await asyncio.to_thread(parts.accounts.sessions.find, token) if token else None
    if session is not None and changes(request) and not session.allows(await sent_csrf(request)):
        raise HTTPException(403, STALE)
    return session


async def owner(request: Request, session: Annotated[Session | None, Depends(visitor)]) -> Session:
    """The owner's session."""
    if session is not None:
        return session
    if request.url.path.startswith("/api/"):
        raise HTTPException(401, "log in first", {"WWW-Authenticate": "Session"})
    # After the login a form's page is shown again, not what the form would have done.
    path = request.url.path.rpartition("/")[0] or "/" if changes(request) else request.url.path
    raise HTTPException(303, "log in first", {"Location": "/login?" + urlencode({"next": path})})


async def viewer(
    request: Request, parts: PartsOf, session: Annotated[Session | None, Depends(visitor)]
) -> Session | None:
    """Who may read the live page."""
    return await owner(request, session) if parts.settings.view == "login" else session


__all__ = ["Owner", "Session", "Viewer", "Visitor"]

Owner = Annotated[Session, Depends(owner)]
Visitor = Annotated[Session | None, Depends(visitor)]
Viewer = Annotated[Session | None, Depends(viewer)]


def changes(request: Request) -> bool:
    """Whether a request may change something."""
    return request.method not in ("GET", "HEAD")


async def sent_csrf(request: Request) -> str:
    """The token in the header or the form. Raises HTTPException when the browser says that another site sent it."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, STALE)
    if token := request.headers.get("x-csrf-token"):
        return token
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in FORMS:
        return ""
    field = (await request.form()).get("csrf")
    return field if isinstance(field, str) else ""
