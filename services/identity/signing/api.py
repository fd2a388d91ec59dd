"""The signing API: for the coordinator and the command line, on a listener of its own that is never published.

    GET  /account   address and whether the key is at hand
    POST /sign      up to 500 transactions, signed or refused together
    POST /invite    the founder's invite, and what to know about it

Who asks proves with a bearer token that both have from a file.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.identity.accounts.accounts import Accounts
from services.identity.accounts.vault import Vault
from services.identity.invite import DAYS, MAX_DAYS, Invitation, invitation
from services.identity.settings import IdentitySettings
from services.identity.signing.book import Book
from services.identity.signing.heir import named_heir
from services.identity.signing.policy import Transaction, load_code
from services.identity.signing.signer import Signatures, Signed, SigningError
from shared.errors import SwarmError
from shared.queue import Store
from shared.settings import read_secret

log = logging.getLogger(__name__)

MAX_BATCH = 500


class Batch(BaseModel):
    """What is to be signed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transactions: tuple[Transaction, ...] = Field(min_length=1, max_length=MAX_BATCH)


class Asked(BaseModel):
    """For how long an invite shall be good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(default=DAYS, ge=1, le=MAX_DAYS)


Inviting = Callable[[int], Awaitable[Invitation]]
"""Makes an invite for so many days. Raises SwarmError."""


def signing_of(settings: IdentitySettings, accounts: Accounts, store: Store) -> FastAPI | None:
    """The API as the settings want it; None where nobody has a token. Raises SwarmError."""
    token = read_secret(settings.signing_token_file, "SIGNING_TOKEN_FILE")
    if token is None:
        log.warning("no SIGNING_TOKEN_FILE: nothing is signed, and this household's rewards do not reach the chain")
        return None
    signatures = Signatures(
        accounts.vault,
        Book(accounts.database),
        load_code(settings.contracts),
        chain_id=settings.chain_id,
        contract=settings.swarm_contract,
        heir=lambda: named_heir(settings.home, time.time()),
        market=settings.market_contract,
    )

    async def inviting(days: int) -> Invitation:
        return await invitation(settings, accounts.vault, store, time.time(), days)

    return build_signing(accounts.vault, signatures, token, inviting)


def build_signing(vault: Vault, signatures: Signatures, token: str, inviting: Inviting) -> FastAPI:
    """The API as an application."""
    expected = f"Bearer {token}".encode()

    def authorized(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), expected):
            raise HTTPException(401, "no such token")

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(authorized)])

    @app.exception_handler(SigningError)
    async def refuse(_request: Request, error: SigningError) -> JSONResponse:
        return JSONResponse({"error": error.cause, "remedy": error.remedy}, error.status)

    @app.get("/account")
    async def account() -> dict[str, str | None]:
        return {"address": vault.address, "state": vault.state}

    @app.post("/sign")
    async def sign(batch: Batch) -> dict[str, list[Signed]]:
        return {"signed": await signatures.sign(batch.transactions)}

    @app.post("/invite")
    async def invite(asked: Asked) -> dict[str, Any]:
        try:
            made = await inviting(asked.days)
        except SwarmError as error:
            raise SigningError(409, error.cause, error.remedy) from error
        return {"invite": made.text, "warnings": made.warnings}

    return app
