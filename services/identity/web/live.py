"""The live page and its events."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from services.identity.metrics import REFUSED
from services.identity.parts import PartsOf
from services.identity.web.guard import Viewer
from services.identity.web.pages import STATIC, render

MAX_VIEWERS = 256

router = APIRouter()


@router.get("/", include_in_schema=False)
async def page(request: Request, parts: PartsOf, session: Viewer) -> HTMLResponse:
    """The live page."""
    return render(request, parts, "live.html", session)


@router.get("/favicon.ico", include_in_schema=False)
async def favicon() -> Response:
    """The icon, where browsers look for it by themselves."""
    return Response((STATIC / "favicon.svg").read_bytes(), media_type="image/svg+xml")


@router.get("/api/live")
async def live(parts: PartsOf, session: Viewer) -> Response:
    """All sections of the page as one JSON object."""
    return Response(parts.board.snapshot(), media_type="application/json")


@router.get("/api/live/events")
async def events(parts: PartsOf, session: Viewer) -> StreamingResponse:
    """The same as server-sent events: first everything, then what changed."""
    if parts.board.followers >= MAX_VIEWERS:
        REFUSED.inc()
        raise HTTPException(503, "too many browsers follow this page", {"Retry-After": "10"})
    return event_stream(parts.board.follow())


def event_stream(content: object) -> StreamingResponse:
    """Server-sent events that no proxy keeps back."""
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(content, media_type="text/event-stream", headers=headers)  # type: ignore[arg-type]
