"""Why a round was rewarded as it was, for people and for programs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response

from services.identity.parts import Parts, PartsOf
from services.identity.shown.around import Around
from services.identity.shown.explanation import Explanation
from services.identity.shown.explanation import explain as explained
from services.identity.shown.nodes import ours
from services.identity.web.guard import Viewer
from services.identity.web.pages import render
from shared.household import hosted_peers
from shared.messages import PeerId

RoundPath = Annotated[int, Path(ge=0, lt=2**63, description="the round's number")]
PeerQuery = Annotated[PeerId | None, Query(description="only this peer")]

router = APIRouter()


@router.get("/explain", include_in_schema=False)
async def choose(
    request: Request, parts: PartsOf, session: Viewer, number: Annotated[str, Query(alias="round", max_length=40)] = ""
) -> Response:
    """The form's target: to the page of a round."""
    text = number.strip().replace(",", "")
    if text.isascii() and text.isdigit() and int(text) < 2**63:
        return RedirectResponse(f"/explain/{int(text)}", 303)
    latest = max(parts.view.history.rounds, default=None)
    if not text and latest is not None:
        return RedirectResponse(f"/explain/{latest}", 303)
    return render(request, parts, "explain.html", session, status=404, wrong=text, round=None)


@router.get("/explain/{number}", include_in_schema=False)
async def page(
    request: Request, parts: PartsOf, session: Viewer, number: RoundPath, peer: PeerQuery = None
) -> Response:
    """A round, explained; works without JavaScript."""
    found = await _explain(parts, number, peer)
    return render(request, parts, "explain.html", session, status=200 if found.known else 404, round=found, only=peer)


@router.get("/api/explain/{number}")
async def api(parts: PartsOf, session: Viewer, number: RoundPath, peer: PeerQuery = None) -> Explanation:
    """The same for programs."""
    return await _explain(parts, number, peer)


async def _explain(parts: Parts, number: int, peer: str | None) -> Explanation:
    own = ours(parts.view, Around(hosted=await hosted_peers(parts.context.store)))
    return explained(parts.view, own, number, only=peer, explorer=parts.settings.explorer)
