"""Routes of the live page."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from services.identity.board import Board
from services.identity.headers import SecurityHeaders
from services.identity.metrics import REFUSED

HERE = Path(__file__).parent
MAX_VIEWERS = 64


def build_app(swarm: str, board: Board) -> FastAPI:
    """The web application of a swarm's board."""
    app = FastAPI(title="RL Swarm", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    templates = Jinja2Templates(HERE / "templates")

    @app.get("/")
    async def page(request: Request) -> HTMLResponse:
        return templates.TemplateResponse(request, "live.html", {"swarm": swarm})

    @app.get("/favicon.ico")
    async def favicon() -> Response:
        return Response((HERE / "static" / "favicon.svg").read_bytes(), media_type="image/svg+xml")

    @app.get("/api/live")
    async def live() -> Response:
        return Response(board.snapshot(), media_type="application/json")

    @app.get("/api/live/events")
    async def events() -> StreamingResponse:
        if board.followers >= MAX_VIEWERS:
            REFUSED.inc()
            raise HTTPException(503, "too many browsers follow this page", {"Retry-After": "10"})
        return StreamingResponse(board.follow(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return app
