"""Who signs this household's transactions: identity, which alone holds the key, over HTTP on the internal network.

    RemoteSigner.account --GET /account--> address and whether the key is at hand
    Account.sign         --POST /sign----> raw transactions; identity checks each against its own rules first

Every way in which that can fail is a SignerError: nothing is lost, and it is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.coordinator.chain import ChainError

TIMEOUT_S = 10.0
NOBODY = f"0x{0:040x}"
Hex = r"^0x[0-9a-fA-F]+$"


class SignerError(ChainError):
    """Nothing can be signed now."""


@dataclass(frozen=True)
class Account:
    """The household's account as identity tells it."""

    address: str  # 0x..., with checksum; NOBODY before there is one
    state: Literal["none", "locked", "ready"]


@dataclass(frozen=True)
class Signed:
    """A transaction that can be sent."""

    raw: str  # 0x...
    hash: str  # 0x...


class Signer(Protocol):
    """One account's signatures."""

    @property
    def address(self) -> str:
        """The account."""

    async def sign(self, transactions: Sequence[dict[str, Any]]) -> list[Signed]:
        """Sign each; `to` missing: a contract is made. Raises SignerError."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)

    address: str | None = Field(pattern=r"^0x[0-9a-fA-F]{40}$")
    state: Literal["none", "locked", "ready"]


class _One(BaseModel):
    model_config = ConfigDict(frozen=True)

    raw: str = Field(pattern=Hex)
    hash: str = Field(pattern=r"^0x[0-9a-f]{64}$")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)

    signed: list[_One]


class RemoteSigner:
    """Identity's signing API."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=url, timeout=TIMEOUT_S, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )

    async def account(self) -> Account:
        """The account as it is now. Raises SignerError."""
        told = _Told.model_validate_json(await self._ask("GET", "/account", None))
        return Account(told.address or NOBODY, told.state)

    async def sign(self, transactions: Sequence[dict[str, Any]]) -> list[Signed]:
        """See `Signer.sign`."""
        body = {"transactions": [_wire(fields) for fields in transactions]}
        try:
            answer = _Answer.model_validate_json(await self._ask("POST", "/sign", body))
        except ValidationError as error:
            raise SignerError("identity's answer is no signature", "see the log of identity") from error
        if len(answer.signed) != len(transactions):
            raise SignerError("identity did not sign all that was asked for", "see the log of identity")
        return [Signed(one.raw, one.hash) for one in answer.signed]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: object) -> bytes:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise SignerError(
                f"identity does not answer at {self._url} ({type(error).__name__})", "see that it runs, and SIGNER_URL"
            ) from error
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        return response.content


class OfAccount:
    """`Signer` of the account that identity had when this was made: another one is another household."""

    def __init__(self, remote: RemoteSigner, address: str) -> None:
        self._remote, self._address = remote, address

    @property
    def address(self) -> str:
        """See `Signer.address`."""
        return self._address

    async def sign(self, transactions: Sequence[dict[str, Any]]) -> list[Signed]:
        """See `Signer.sign`."""
        return await self._remote.sign(transactions)


def _wire(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "to": fields.get("to"),
        "data": fields["data"],
        "nonce": fields["nonce"],
        "gas": fields["gas"],
        "gas_price": str(fields["gasPrice"]),
        "chain_id": fields["chainId"],
    }


def _refusal(response: httpx.Response) -> SignerError:
    """What identity says, in one line; its remedy where it names one."""
    try:
        told = response.json()
        cause, remedy = str(told["error"]), str(told["remedy"])
    except (ValueError, KeyError, TypeError):
        cause, remedy = f"identity answers {response.status_code}", "see the log of identity"
    return SignerError(cause, remedy)
