"""A peer's word that an account may register it, as contracts check it that want one (docs/chain.md).

coordinator --SwarmState--> p2p, which has the peer's key --Registration with its Proof--> coordinator --> chain
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$", to_lower=True)]


class Statement(BaseModel):
    """Who would register peers, and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chain_id: int = Field(ge=1, lt=2**53)
    contract: Address  # of the proxy
    account: Address

    @property
    def text(self) -> bytes:
        """What the peer's key signs: worth nothing on another chain, to another contract or account."""
        addresses = bytes.fromhex(self.contract[2:] + self.account[2:])
        return b"rlswarm registration\0" + self.chain_id.to_bytes(32, "big") + addresses


class Proof(Statement):
    """A statement, signed by a peer's key: RSA of 2,048 bits, the only kind that a contract can check."""

    public_key: str = Field(pattern=r"^[0-9a-f]{598}$")  # libp2p's protobuf, in hex
    signature: str = Field(pattern=r"^[0-9a-f]{512}$")  # PKCS #1 v1.5 with SHA-256, in hex

    def is_for(self, contract: str, account: str) -> bool:
        """Whether this contract would take it from this account."""
        return (self.contract, self.account) == (contract.lower(), account.lower())
