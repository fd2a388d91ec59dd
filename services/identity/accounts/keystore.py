"""Ethereum's keystore v3: a key as JSON, encrypted under a passphrase by scrypt. Pure."""

from __future__ import annotations

import json
from typing import Any, Literal

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_keyfile.exceptions import EthKeyfileException
from pydantic import BaseModel, Field, ValidationError, model_validator

from shared.errors import SwarmError

STRONG = 2**17  # scrypt's N, with r = 8 and p = 1: 128 MiB, as OWASP asks; wallets of today read it
FAST = 2**4
LARGEST = 16_384  # characters of a key file
MOST_MEMORY = 2**28  # bytes that opening a file of another wallet may take; what geth uses


class VaultError(SwarmError):
    """The key cannot be had, or the file is none."""


class WrongPassphrase(VaultError):
    """The passphrase does not open the key."""

    def __init__(self) -> None:
        super().__init__("the passphrase does not open this key", "see that it is the one the key was encrypted with")


class _Scrypt(BaseModel):
    n: int = Field(ge=2, le=2**20)
    r: int = Field(ge=1, le=32)
    p: int = Field(ge=1, le=16)

    @model_validator(mode="after")
    def _bounded(self) -> _Scrypt:
        if 128 * self.n * self.r > MOST_MEMORY:
            raise ValueError("opening it would take too much memory")
        return self


class _Pbkdf2(BaseModel):
    c: int = Field(ge=1, le=10_000_000)
    prf: Literal["hmac-sha256"]


class _Crypto(BaseModel):
    kdf: Literal["scrypt", "pbkdf2"]
    kdfparams: dict[str, Any]
    cipher: Literal["aes-128-ctr"]

    @model_validator(mode="after")
    def _known(self) -> _Crypto:
        (_Scrypt if self.kdf == "scrypt" else _Pbkdf2).model_validate(self.kdfparams)
        return self


class _File(BaseModel):
    version: Literal[3]
    crypto: _Crypto


def encrypt(account: LocalAccount, passphrase: str, cost: int) -> str:
    """The key as keystore JSON."""
    made: dict[str, Any] = Account.encrypt(bytes(account.key), passphrase, kdf="scrypt", iterations=cost)
    return json.dumps(made, separators=(",", ":"))


def decrypt(text: str, passphrase: str) -> LocalAccount:
    """The key in a file of ours or of any wallet. Raises WrongPassphrase, and VaultError for what is no key file."""
    parsed = _parsed(text)
    try:
        key = Account.decrypt(parsed, passphrase)
        account: LocalAccount = Account.from_key(key)
    except EthKeyfileException as error:
        raise (WrongPassphrase() if "MAC" in str(error) else _no_file()) from None
    except Exception:  # whatever a stranger's file makes the library raise; its text may hold parts of the key
        raise _no_file() from None
    return account


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise _no_file()
    try:
        found = {str(key).lower(): value for key, value in json.loads(text).items()}
        _File.model_validate(found)
    except (ValueError, AttributeError, ValidationError, RecursionError):
        raise _no_file() from None
    return found


def _no_file() -> VaultError:
    return VaultError("this is no key file (Ethereum keystore, version 3)", "choose the JSON file of an export")
