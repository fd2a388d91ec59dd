"""An invite: all that a household needs to take part in a swarm, signed by its founder, as one line of text.

    rlswarm1.<JSON, base64url>.<signature, base64url>.<first 8 hex digits of the sha256 of all before>

It is an address and no key: who has it finds the swarm, and knows that its founder said so. Here it is only read
(damaged, of a newer version, expired); who signed it is checked by the coordinator, which asks the chain, too.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import SettingsError

VERSION = 1
PREFIX = f"rlswarm{VERSION}"
MAX_TEXT = 4_096  # characters of an invite
MAX_PEERS = 4
SIGNATURE_BYTES = 65  # r, s, v
DAY_S = 86_400
MAX_TIME = 253_402_300_800  # the year 10000

URL = r"^https?://[A-Za-z0-9._~:/?#@!&()*+,;=%\[\]-]{1,300}$"
ADDRESS = r"^/(ip4|ip6|dns|dns4|dns6)/[A-Za-z0-9.:_-]{1,253}/tcp/[0-9]{1,5}/p2p/[1-9A-HJ-NP-Za-km-z]{20,128}$"
ACCOUNT = r"^0x[0-9a-fA-F]{40}$"
NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
WORD = r"^[a-z][a-z0-9_-]{0,30}$"  # no path and no module: whoever invites chooses nothing that is loaded elsewhere

Address = Annotated[str, Field(pattern=ADDRESS)]

_DOMAIN = f"rlswarm invite {VERSION}\n"  # before the JSON in what is signed: it is no transaction and no login
_NEWER = re.compile(r"rlswarm[0-9]{1,9}\.")
_PART = re.compile(r"[A-Za-z0-9_-]+")


class Invite(BaseModel):
    """What an invite says."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    swarm: str = Field(pattern=NAME)  # its name; peers of another are ignored
    chain_id: int = Field(ge=1, lt=2**53)
    chain_url: str | None = Field(default=None, pattern=URL)  # JSON-RPC; None: everybody has a way of their own
    contract: str = Field(pattern=ACCOUNT)  # the swarm's SwarmCoordinator
    founder: str = Field(pattern=ACCOUNT)  # who signs, and has OWNER_ROLE on the contract
    peers: tuple[Address, ...] = Field(min_length=1, max_length=MAX_PEERS)  # multiaddresses to join through
    game: str | None = Field(default=None, pattern=WORD)  # None: one of the founder's own, which others must have
    mix: str | None = Field(default=None, pattern=WORD)  # of questions, DATA_MIX
    market: str | None = Field(default=None, pattern=ACCOUNT)  # the PredictionMarket; None: there is none
    expires: int = Field(ge=0, lt=MAX_TIME)  # unix seconds; nobody joins by it from then on, who has joined stays

    def variables(self) -> dict[str, str]:
        """The environment variables it stands for."""
        found = {
            "SWARM_NAME": self.swarm,
            "SWARM_CONTRACT": self.contract,
            "CHAIN_ID": str(self.chain_id),
            "CHAIN_URL": self.chain_url,
            "INITIAL_PEERS": ",".join(self.peers),
            "PRG_CONTRACT": self.market,
            "GAME": self.game,
            "DATA_MIX": self.mix,
        }
        return {name: value for name, value in found.items() if value is not None}

    def payload(self) -> bytes:
        """Its only JSON form: sorted keys, no spaces, nothing that is None."""
        told = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def signed_text(self) -> str:
        """What the founder's account signs (EIP-191, personal_sign)."""
        return _DOMAIN + self.payload().decode()


class Signed(BaseModel):
    """An invite, and who says so."""

    model_config = ConfigDict(frozen=True)

    invite: Invite
    signature: bytes = Field(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)

    def text(self) -> str:
        """The one line."""
        body = ".".join((PREFIX, _encoded(self.invite.payload()), _encoded(self.signature)))
        return f"{body}.{_checksum(body)}"


def expiry(days: int, now: float) -> int:
    """The end (UTC) of the day in so many days: an invite is the same all day long."""
    return int((now // DAY_S + days + 1) * DAY_S)


def reachable_form(address: str) -> bool:
    """Whether a multiaddress may stand in an invite."""
    return re.fullmatch(ADDRESS, address) is not None


def parse(text: str, now: float | None) -> Signed:
    """Read an invite; white space in it does not count. `now` None: it may have expired.

    Raises SettingsError where it is damaged, of a newer version or expired.
    """
    if len(text) > 2 * MAX_TEXT:
        raise _damaged("it is too long")
    body = "".join(text.split())
    if len(body) > MAX_TEXT or not body.isascii():
        raise _damaged("it is too long, or has letters that no invite has")
    if not body.startswith(f"{PREFIX}.") and _NEWER.match(body):
        raise SettingsError("this invite is of a newer version than this software", "install the founder's release")
    parts = body.split(".")
    if parts[0] != PREFIX or len(parts) != 4:
        raise _damaged("it is no invite, or a part is missing")
    if parts[3] != _checksum(body.rpartition(".")[0]):
        raise _damaged("a letter is wrong or missing")
    signed = _signed(_decoded(parts[1]), _decoded(parts[2]))
    if now is not None and now >= signed.invite.expires:
        day = datetime.fromtimestamp(signed.invite.expires, UTC)
        raise SettingsError(f"this invite expired on {day:%Y-%m-%d}", "ask the founder for a new one: rlswarm invite")
    return signed


def variables_of(text: str) -> dict[str, str]:
    """The environment variables that an invite (SWARM_INVITE) stands for. Raises SettingsError if it is damaged."""
    try:
        return parse(text, None).invite.variables()
    except SettingsError as error:
        raise SettingsError(f"SWARM_INVITE: {error.cause}", error.remedy) from error


def _signed(payload: bytes, signature: bytes) -> Signed:
    try:
        invite = Invite.model_validate_json(payload)
        signed = Signed(invite=invite, signature=signature)
    except ValidationError as error:
        first: Sequence[int | str] = error.errors(include_url=False)[0]["loc"]
        raise _damaged(f"{'.'.join(map(str, first)) or 'its content'} is wrong") from error
    if invite.payload() != payload:
        raise _damaged("its content is not written as it should be")
    return signed


def _damaged(why: str) -> SettingsError:
    return SettingsError(
        f"this invite is damaged: {why}", f"copy all of it, from {PREFIX} to the last letter, or ask for it again"
    )


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(part: str) -> bytes:
    """Base64 in its only form. Raises SettingsError."""
    try:
        content = urlsafe_b64decode(part + "=" * (-len(part) % 4)) if _PART.fullmatch(part) else b""
    except ValueError:
        content = b""
    if not content or _encoded(content) != part:
        raise _damaged("a part of it cannot be read")
    return content


def _checksum(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:8]
