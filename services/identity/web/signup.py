"""Signing up without a passphrase, by a passkey or a wallet, as static/passkey.js and static/wallet.js ask for it.

Only where the passphrase file opens the key: what logs in by a passkey or a wallet could encrypt nothing.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from services.identity.accounts import wallet
from services.identity.accounts.newcomer import Newcomer, clean_name
from services.identity.parts import Parts, PartsOf
from services.identity.web.door import Address, Browser, check_code, enter
from services.identity.web.passkeys import Entered, Shown
from services.identity.web.session import SAYS_WHY
from services.identity.web.site import safe_next, site_of
from services.identity.web.wallets import Signed, ToSign, Who

router = APIRouter(prefix="/api/signup", responses=SAYS_WHY)

CODE = Field("", max_length=100)  # what lies in claim.code, where others reach this page
NAME = Field("", max_length=200)


class WithPasskey(BaseModel):
    """The name is kept until the passkey is made."""

    name: str = NAME
    code: str = CODE


class WithWallet(Who):
    """No name: the address becomes it."""

    name: str = NAME
    code: str = CODE


class MadePasskey(Shown):
    """As navigator.credentials.create() returns it."""

    code: str = CODE


class SignedByWallet(Signed):
    """The signature, and who signed."""

    name: str = NAME
    code: str = CODE


@router.post("/passkey/options")
def ask_passkey(
    request: Request, parts: PartsOf, browser: Browser, address: Address, wanted: WithPasskey
) -> dict[str, Any]:
    """What to ask navigator.credentials.create() for."""
    _admit(parts, wanted.code, address)
    return parts.accounts.passkeys.begin_sign_up(wanted.name, site_of(request, parts.settings), browser)


@router.post("/passkey")
def by_passkey(
    request: Request, response: Response, parts: PartsOf, browser: Browser, address: Address, made: MadePasskey
) -> Entered:
    """Become the owner, who logs in by this passkey."""
    _admit(parts, made.code, address)
    newcomer = parts.accounts.passkeys.newcomer(made.credential, site_of(request, parts.settings), browser)
    return _settled(request, response, parts, newcomer, made.next)


@router.post("/wallet/text")
def ask_wallet(request: Request, parts: PartsOf, browser: Browser, address: Address, wanted: WithWallet) -> ToSign:
    """A text for the wallet to sign."""
    _admit(parts, wanted.code, address)
    if wanted.name.strip():
        clean_name(wanted.name)  # said before the wallet is asked
    site = site_of(request, parts.settings)
    nonce, text = parts.accounts.wallets.ask(wanted.address, wallet.SIGN_UP, site, browser)
    return ToSign(nonce=nonce, message=text)


@router.post("/wallet")
def by_wallet(
    request: Request, response: Response, parts: PartsOf, browser: Browser, address: Address, signed: SignedByWallet
) -> Entered:
    """Become the owner, who logs in by the wallet that signed."""
    _admit(parts, signed.code, address)
    site = site_of(request, parts.settings)
    newcomer = parts.accounts.wallets.newcomer(signed.name, signed.nonce, signed.signature, site, browser)
    return _settled(request, response, parts, newcomer, signed.next)


def _admit(parts: Parts, code: str, address: str) -> None:
    """Asked before and after: by then somebody else may be the owner. Raises LoginError."""
    parts.accounts.owners.admit()
    check_code(parts, code, address)


def _settled(request: Request, response: Response, parts: Parts, newcomer: Newcomer, next_: str) -> Entered:
    parts.accounts.owners.sign_up_as(newcomer)
    parts.accounts.claim.used()
    enter(response, request, parts, "sign-up")
    return Entered(next=safe_next(next_))
