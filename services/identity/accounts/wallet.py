"""Sign-In with Ethereum (EIP-4361): we write the text, the wallet signs it, we recover who signed.

The text is written here and not with the package `siwe`, which cannot be installed beside web3 8.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import is_address, to_checksum_address
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.identity.accounts.challenges import LIFE_S, Challenges
from services.identity.accounts.db import Database
from services.identity.accounts.newcomer import Newcomer, check_ways, clean_name
from services.identity.accounts.refusal import LoginError
from services.identity.accounts.site import Site
from services.identity.accounts.tables import WALLETS

LINK, LOGIN, SIGN_UP = "wallet link", "wallet login", "wallet sign-up"
STATEMENTS = {
    LOGIN: "Log in to your RL swarm.",
    LINK: "Let this wallet log in to your RL swarm.",
    SIGN_UP: "Become the owner of this RL swarm.",
}
CHAIN_ID = 1  # the standard wants one; nothing is sent to any chain
MAX_WALLETS = 10
REFUSED = "This wallet was not accepted."


@dataclass(frozen=True)
class Wallet:
    """One that may log in."""

    address: str  # with checksum
    created: float
    used: float | None


def compose(site: Site, address: str, statement: str, nonce: str, issued_at: float) -> str:
    """The text of EIP-4361."""
    lines = (
        f"{site.domain} wants you to sign in with your Ethereum account:",
        address,
        "",
        statement,
        "",
        f"URI: {site.origin}",
        "Version: 1",
        f"Chain ID: {CHAIN_ID}",
        f"Nonce: {nonce}",
        f"Issued At: {_iso(issued_at)}",
        f"Expiration Time: {_iso(issued_at + LIFE_S)}",
    )
    return "\n".join(lines)


def short(address: str) -> str:
    """An address as a name that can be typed: 0x1234...abcd."""
    return f"{address[:6]}...{address[-4:]}"


def signer(text: str, signature: str) -> str | None:
    """Who signed a text (personal_sign); None if it is no signature."""
    try:
        return str(Account.recover_message(encode_defunct(text=text), signature=signature))
    except Exception:  # a stranger's bytes in a library of elliptic curves
        return None


class Wallets:
    """The owner's."""

    def __init__(self, database: Database, challenges: Challenges, clock: Callable[[], float] = time.time) -> None:
        self._database, self._challenges, self._clock = database, challenges, clock

    def all(self) -> list[Wallet]:
        """Every wallet, the oldest first."""
        with self._database.begin() as connection:
            rows = connection.execute(select(WALLETS).order_by(WALLETS.c.created)).all()
        return [Wallet(row.address, row.created, row.used) for row in rows]

    def ask(self, address: str, purpose: str, site: Site, browser: str) -> tuple[str, str]:
        """A nonce and the text to sign; we keep both. Raises LoginError."""
        if not is_address(address):
            raise LoginError("This is no Ethereum address.")
        nonce = secrets.token_hex(16)
        text = compose(site, to_checksum_address(address), STATEMENTS[purpose], nonce, self._clock())
        self._challenges.put(nonce, purpose, browser, text)
        return nonce, text

    def log_in(self, nonce: str, signature: str, site: Site, browser: str) -> None:
        """Let the owner in, or raise LoginError, the same for an unknown wallet as for a wrong signature."""
        address = self._signed(nonce, signature, LOGIN, site, browser)
        with self._database.begin() as connection:
            known = update(WALLETS).where(WALLETS.c.address == address).values(used=self._clock())
            if connection.execute(known).rowcount == 0:
                raise LoginError(REFUSED, status=401)

    def link(self, nonce: str, signature: str, site: Site, browser: str) -> None:
        """Let a wallet log in from now on. Raises LoginError."""
        address = self._signed(nonce, signature, LINK, site, browser)
        try:
            with self._database.begin() as connection:
                if (connection.scalar(select(func.count()).select_from(WALLETS)) or 0) >= MAX_WALLETS:
                    raise LoginError(f"There are {MAX_WALLETS} wallets already: remove one first.", status=409)
                self._add(connection, address)
        except IntegrityError as error:
            raise LoginError("This wallet is known already.", status=409) from error

    def newcomer(self, name: str, nonce: str, signature: str, site: Site, browser: str) -> Newcomer:
        """Who would be the owner and log in by this wallet; it lends its address where no name is given.

        Raises LoginError.
        """
        address = self._signed(nonce, signature, SIGN_UP, site, browser)
        return Newcomer(clean_name(name.strip() or short(address)), lambda connection: self._add(connection, address))

    def remove(self, address: str) -> None:
        """Forget one. Raises LoginError if nothing else lets the owner in."""
        with self._database.begin() as connection:
            connection.execute(delete(WALLETS).where(WALLETS.c.address == address))
            check_ways(connection)

    def _add(self, connection: Connection, address: str) -> None:
        connection.execute(insert(WALLETS).values(address=address, owner_id=1, created=self._clock()))

    def _signed(self, nonce: str, signature: str, purpose: str, site: Site, browser: str) -> str:
        """The address that signed exactly what we wrote for it, for this site."""
        text = self._challenges.take(nonce, purpose, browser)
        if text is None:
            raise LoginError("This took too long. Try again.")
        domain, _, rest = text.partition(" wants you to sign in with your Ethereum account:\n")
        address = signer(text, signature)
        if address is None or domain != site.domain or address != rest.partition("\n")[0]:
            raise LoginError(REFUSED, status=401)
        return address


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
