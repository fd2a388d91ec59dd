"""What went wrong, as a page for people and as JSON for programs."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from services.identity.accounts.owners import LoginError
from services.identity.headers import HEADERS
from services.identity.web import cookies
from services.identity.web.door import retry_after
from services.identity.web.pages import render

TITLES = {403: "Not like this", 404: "There is nothing here", 405: "Not like this", 429: "Too much at once"}


def add_problem_pages(app: FastAPI) -> None:
    """Tell the app."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(LoginError, _not_let_in)
    app.add_exception_handler(Exception, _broken)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    for_people = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")
    if error.status_code < 400 or not for_people:
        return await http_exception_handler(request, error)
    parts = request.app.state.parts
    token = cookies.read(request, parts.settings, cookies.SESSION)
    session = await asyncio.to_thread(parts.accounts.sessions.find, token) if token else None
    title = TITLES.get(error.status_code, "This did not work")
    headers = dict(error.headers or {})
    return render(
        request,
        parts,
        "problem.html",
        session,
        status=error.status_code,
        headers=headers,
        title=title,
        detail=error.detail,
    )


async def _broken(_request: Request, _error: Exception) -> Response:
    """A bug: its trace is in the log only. No middleware sees this answer, so it brings its headers itself."""
    return PlainTextResponse("Something broke. See the log of identity.\n", 500, HEADERS)


async def _not_let_in(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginError)
    return JSONResponse({"error": error.text}, error.status, dict(retry_after(error)))
