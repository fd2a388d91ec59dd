"""The web application: middleware and routes, each group of them in a file of `web/`."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from services.identity.headers import SecurityHeaders
from services.identity.middleware import AllowedHosts, BodyLimit
from services.identity.parts import Parts
from services.identity.web import (
    account,
    ask,
    explain,
    founder,
    key,
    live,
    login,
    market,
    passkeys,
    session,
    signup,
    stock,
    wallets,
)
from services.identity.web.pages import STATIC
from services.identity.web.problems import add_problem_pages
from services.identity.web.settling import StockError


def build_app(parts: Parts) -> FastAPI:
    """The web application of a household."""
    app = FastAPI(title="RL Swarm", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    app.state.parts = parts
    # The last one added sees a request first.
    app.add_middleware(BodyLimit)
    app.add_middleware(AllowedHosts, settings=parts.settings)
    app.add_middleware(SecurityHeaders, settings=parts.settings)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    add_problem_pages(app)
    app.add_exception_handler(StockError, stock.refuse)
    for module in (live, login, signup, account, key, session, passkeys, wallets, founder, explain, ask, stock, market):
        app.include_router(module.router)
    return app
