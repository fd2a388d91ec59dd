"""Wallets (Sign-In with Ethereum), as static/wallet.js asks for them."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.identity.accounts import wallet
from services.identity.parts import PartsOf
from services.identity.web.door import Browser, enter
from services.identity.web.passkeys import Entered
from services.identity.web.recent import RecentOwner
from services.identity.web.session import SAYS_WHY
from services.identity.web.site import safe_next, site_of

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/wallets", responses=SAYS_WHY)


class Who(BaseModel):
    """The wallet's account."""

    address: str = Field(max_length=42)


class ToSign(BaseModel):
    """A text of EIP-4361 for personal_sign."""

    nonce: str
    message: str


class Signed(BaseModel):
    """Its signature."""

    nonce: str = Field(max_length=64)
    signature: str = Field(max_length=200)
    next: str = Field("", max_length=500)


@router.post("/text")
def ask_to_link(request: Request, parts: PartsOf, session: RecentOwner, who: Who) -> ToSign:
    """A text that lets a wallet log in from now on."""
    nonce, text = parts.accounts.wallets.ask(who.address, wallet.LINK, site_of(request, parts.settings), session.id)
    return ToSign(nonce=nonce, message=text)


@router.post("", status_code=204)
def link(request: Request, parts: PartsOf, session: RecentOwner, signed: Signed) -> None:
    """Let the wallet that signed log in from now on."""
    site = site_of(request, parts.settings)
    parts.accounts.wallets.link(signed.nonce, signed.signature, site, session.id)
    log.info("a wallet was added")


@router.post("/login/text")
def ask_to_log_in(request: Request, parts: PartsOf, browser: Browser, who: Who) -> ToSign:
    """A text that logs in; anybody gets one."""
    nonce, text = parts.accounts.wallets.ask(who.address, wallet.LOGIN, site_of(request, parts.settings), browser)
    return ToSign(nonce=nonce, message=text)


@router.post("/login")
def log_in(request: Request, response: Response, parts: PartsOf, browser: Browser, signed: Signed) -> Entered:
    """Log in by wallet. The household's key stays as it is: only a passphrase opens it."""
    site = site_of(request, parts.settings)
    parts.accounts.wallets.log_in(signed.nonce, signed.signature, site, browser)
    enter(response, request, parts, "wallet")
    return Entered(next=safe_next(signed.next))
