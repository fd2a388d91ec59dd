"""Where templates and static files lie, and how a page that is no live page is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from services.identity.accounts.sessions import Session
from services.identity.parts import Parts

HERE = Path(__file__).resolve().parents[1]
STATIC = HERE / "static"
TEMPLATES = Jinja2Templates(HERE / "templates")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


BROWSERS = {"Edg/": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "Chrome/": "Chrome", "Safari/": "Safari"}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "an iPhone",
    "iPad": "an iPad",
    "Windows": "Windows",
    "Mac OS": "a Mac",
    "Linux": "Linux",
}


def _device(agent: str) -> str:
    """What calls itself so, in words; a guess, as browsers pretend to be each other."""
    browser = next((name for mark, name in BROWSERS.items() if mark in agent), None)
    system = next((name for mark, name in SYSTEMS.items() if mark in agent), "a device")
    return f"{browser} on {system}" if browser else agent.partition("/")[0][:40] or "A program"


TEMPLATES.env.filters |= {"moment": _moment, "day": _day, "device": _device}


def render(
    request: Request,
    parts: Parts,
    template: str,
    session: Session | None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> HTMLResponse:
    """A page that no browser may keep."""
    shared = {"swarm": parts.settings.swarm, "session": session}
    told = {"Cache-Control": "no-store", **(headers or {})}
    return TEMPLATES.TemplateResponse(request, template, {**shared, **context}, status_code=status, headers=told)
