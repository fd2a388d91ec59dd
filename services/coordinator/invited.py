"""Whether an invite can be believed: its founder signed it, and owns the swarm's contract on the chain.

    signature  --> whose it is (EIP-191), and whom it names as founder     at the start, without a chain
    the chain  --> its id, and who has OWNER_ROLE on the contract          when it answers, before anything is sent

An invite that was found good is remembered: who has joined stays when it expires, or when the swarm's owner changes.
The only module here that knows signatures: it holds no key, it only reads whose one is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys.exceptions import BadSignature

from services.coordinator.chain import Chain
from shared.errors import SettingsError
from shared.invite import Invite, parse

log = logging.getLogger(__name__)

FOREIGN = "do not join by it; ask the swarm's founder for an invite"


class Admission:
    """This household's invite, until it has been found good; without one there is nothing to be found."""

    def __init__(self, text: str | None, home: Path, now: Callable[[], float] = time.time) -> None:
        """Raises SettingsError if the invite itself is wrong, or too old for somebody who has not joined by it."""
        self._path, self._text = home / "invite.accepted", text or ""
        self._open = read(text, now()) if text and not self._accepted() else None

    async def check(self, chain: Chain) -> None:
        """Ask the chain, once. Raises SettingsError if the invite is foreign to it, ChainError while it is away."""
        if self._open is None:
            return
        await check_chain(self._open, chain)
        log.info("invited to the swarm %s by its founder %s", self._open.swarm, self._open.founder)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(_digest(self._text))
        self._open = None

    def _accepted(self) -> bool:
        try:
            return self._path.read_text() == _digest(self._text)
        except FileNotFoundError:
            return False


def read(text: str, now: float) -> Invite:
    """An invite that its founder signed. Raises SettingsError."""
    signed = parse(text, now)
    try:
        signer = Account.recover_message(encode_defunct(text=signed.invite.signed_text()), signature=signed.signature)
    except (BadSignature, ValueError):
        signer = ""
    if str(signer).lower() != signed.invite.founder.lower():
        raise SettingsError("this invite was not signed by the founder that it names", FOREIGN)
    return signed.invite


async def check_chain(invite: Invite, chain: Chain) -> None:
    """Raises SettingsError if this is not the invite's chain, or its founder does not own the contract there."""
    head = await chain.head()
    if head.chain_id != invite.chain_id:
        raise SettingsError(
            f"this invite is for chain {invite.chain_id}, and the chain at CHAIN_URL is {head.chain_id}",
            "see CHAIN_URL, or ask the founder for a new invite",
        )
    if not await chain.owned_by(invite.founder):
        raise SettingsError(
            f"this invite is foreign: {invite.founder}, who signed it, does not own the contract {chain.contract}",
            FOREIGN,
        )


def _digest(text: str) -> str:
    return sha256("".join(text.split()).encode()).hexdigest()
