"""The founder's page: pause and pace of the swarm's rounds, and the invitation. Works without JavaScript.

GET /swarm --form--> POST /swarm --Pace--> Store --> coordinator
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from services.identity.invite import DAYS, MAX_DAYS, Invitation, invitation, qr_svg
from services.identity.parts import Parts, PartsOf
from services.identity.web.guard import Owner, Session
from services.identity.web.pages import render
from shared.errors import SwarmError
from shared.household import Pace, pace, put_pace, swarm_state

MAX_FIELD = 20  # characters of a number
WRONG = {
    "min_s": "The shortest round is 0 to 86,400 seconds.",
    "max_s": "The longest round is above 0 and at most 86,400 seconds.",
    "quorum": "The share of peers is above 0 and at most 100 per cent.",
}

Number = Annotated[str, Form(max_length=MAX_FIELD)]
Days = Annotated[int, Query(ge=1, le=MAX_DAYS)]

router = APIRouter(include_in_schema=False)


@router.get("/swarm")
async def page(request: Request, parts: PartsOf, session: Owner, saved: str = "", days: Days = DAYS) -> HTMLResponse:
    """How the swarm's rounds go, and how others join."""
    return await _page(request, parts, session, saved=saved in ("pause", "resume", "pace") and saved, days=days)


@router.post("/swarm")
async def change(
    request: Request,
    parts: PartsOf,
    session: Owner,
    action: Annotated[str, Form(pattern="^(pause|resume|pace)$")],
    min_s: Number = "",
    max_s: Number = "",
    quorum: Number = "",
) -> Response:
    """Pause, go on, or another pace."""
    store = parts.context.store
    chain = await swarm_state(store)
    if chain is None or not chain.leads:
        return await _page(request, parts, session, status=409)
    wanted = await pace(store)
    given = {"min_s": min_s, "max_s": max_s, "quorum": quorum}
    try:
        wanted = _paced(wanted, given) if action == "pace" else wanted.model_copy(update={"paused": action == "pause"})
    except ValueError as error:
        return await _page(request, parts, session, given=given, error=_words(error), status=422)
    await put_pace(store, wanted)
    return RedirectResponse(f"/swarm?saved={action}", 303)


@router.get("/swarm/invite.svg")
async def qr_code(parts: PartsOf, session: Owner, days: Days = DAYS) -> Response:
    """The invite as a QR code."""
    try:
        code = qr_svg((await _invitation(parts, days)).text)
    except (SwarmError, ValueError):  # there is none now; segno: it is more than a QR code holds
        return Response(status_code=404)
    return Response(code, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})


async def _page(
    request: Request,
    parts: Parts,
    session: Session,
    *,
    given: dict[str, str] | None = None,
    error: str = "",
    saved: str | bool = False,
    days: int = DAYS,
    status: int = 200,
) -> HTMLResponse:
    store = parts.context.store
    chain, wanted = await swarm_state(store), await pace(store)
    invited, no_invite = None, ""
    try:
        invited = await _invitation(parts, days)
    except SwarmError as why:
        no_invite = " ".join(f"{told[:1].upper()}{told[1:]}." for told in (why.cause, why.remedy))
    return render(
        request,
        parts,
        "founder.html",
        session,
        status=status,
        chain=chain,
        wanted=wanted,
        given=given or _shown(wanted),
        error=error,
        saved=saved,
        invited=invited,
        no_invite=no_invite,
        days=days,
        max_days=MAX_DAYS,
    )


async def _invitation(parts: Parts, days: int) -> Invitation:
    return await invitation(parts.settings, parts.accounts.vault, parts.context.store, time.time(), days)


def _paced(before: Pace, given: dict[str, str]) -> Pace:
    """The pace of the form; an empty field leaves it to the coordinator's settings. Raises ValueError."""
    numbers = {name: float(text) if text.strip() else None for name, text in given.items()}
    if numbers["quorum"] is not None:
        numbers["quorum"] /= 100
    return Pace(paused=before.paused, **numbers)


def _shown(wanted: Pace) -> dict[str, str]:
    quorum = None if wanted.quorum is None else 100 * wanted.quorum
    values = {"min_s": wanted.min_s, "max_s": wanted.max_s, "quorum": quorum}
    return {name: "" if value is None else f"{value:g}" for name, value in values.items()}


def _words(error: ValueError) -> str:
    """What is wrong, for the person who filled in the form."""
    if not isinstance(error, ValidationError):
        return "Seconds and per cent are numbers, for example 90 or 2.5."
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    return WRONG.get(field, "The shortest round is longer than the longest.")
