"""What the routes of the web application work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from services.identity.accounts.accounts import Accounts
from services.identity.asks import Asks
from services.identity.board import Board
from services.identity.live import View
from services.identity.settings import IdentitySettings
from shared.runtime import Context


@dataclass(frozen=True)
class Parts:
    """Made once by service.py, found by every route as `app.state.parts`."""

    settings: IdentitySettings
    context: Context  # queue and store of the household
    view: View  # what the streams told
    board: Board  # the same as text for browsers
    accounts: Accounts  # who may log in, and the household's key
    asks: Asks = field(default_factory=Asks)  # questions to the model on their way


def _parts(request: Request) -> Parts:
    found: Parts = request.app.state.parts
    return found


PartsOf = Annotated[Parts, Depends(_parts)]
"""The parts, as a route's argument."""
