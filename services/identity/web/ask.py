"""Try it: the owner asks the current model a question.

POST /api/ask --> ASKS --> trainer --> ANSWERS --> GET /api/ask/{id}/events
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints

from services.identity.asks import AskError, Pending
from services.identity.parts import Parts, PartsOf
from services.identity.shown.texts import label, plain
from services.identity.web.guard import Owner
from services.identity.web.live import event_stream
from shared.asks import MAX_ASKED, Piece
from shared.errors import QueueFullError
from shared.messages import MAX_TEXT
from shared.names import name_of

SILENT = "No answer came within the time limit. Is a trainer running?"

router = APIRouter()


class AskIn(BaseModel):
    """A question."""

    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_ASKED)]


class AskOut(BaseModel):
    """Where its answer will be."""

    id: str = Field(description="the answer comes from /api/ask/{id}/events")


@router.post("/api/ask", responses={401: {}, 403: {}, 429: {}})
async def ask(question: AskIn, parts: PartsOf, session: Owner) -> AskOut:
    """Ask the current model; one question at a time."""
    try:
        return AskOut(id=await parts.asks.ask(parts.context.queue, session.id, question.question))
    except AskError as error:
        raise HTTPException(429, str(error), {"Retry-After": "5"}) from error
    except QueueFullError as error:
        raise HTTPException(429, "too many questions wait for a trainer", {"Retry-After": "30"}) from error


@router.get("/api/ask/{id}/events", responses={401: {}, 404: {}})
async def answer(
    id_: Annotated[str, Path(alias="id", pattern="^[0-9a-f]{32}$")], parts: PartsOf, session: Owner
) -> StreamingResponse:
    """The answer as server-sent events; the last one says `done`."""
    pending = parts.asks.find(id_, session.id)
    if pending is None:
        raise HTTPException(404, "there is no such question, or it has been answered")
    return event_stream(_pieces(pending, parts))


async def _pieces(pending: Pending, parts: Parts) -> AsyncIterator[bytes]:
    done = False
    async for piece in parts.asks.follow(pending, parts.context):
        yield _event(piece) if piece else b": waiting\n\n"
        done = done or (piece is not None and piece.done)
    if not done:
        yield f"data: {json.dumps({'error': SILENT, 'done': True})}\n\n".encode()


def _event(piece: Piece) -> bytes:
    shown = piece.model_dump(include={"place", "round", "done"})
    told = {"name": name_of(piece.peer_id), "text": plain(piece.text, MAX_TEXT), "error": label(piece.error)}
    return f"data: {json.dumps({**shown, **told})}\n\n".encode()
