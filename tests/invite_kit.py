"""Invites, as a founder's identity signs them."""

from __future__ import annotations

from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct

from shared.invite import Invite, Signed

KEY = "0x" + "11" * 32
FOUNDER = str(Account.from_key(KEY).address)
PEER = "/ip4/203.0.113.7/tcp/38331/p2p/Qm" + "a" * 44
CONTRACT = "0x" + "c" * 40
EXPIRES = 1_893_542_400


def invite_of(**changes: Any) -> Invite:
    """An invite as a founder would have it."""
    base: dict[str, Any] = {
        "swarm": "meadow",
        "chain_id": 685685,
        "chain_url": "http://203.0.113.7:8545",
        "contract": CONTRACT,
        "founder": FOUNDER,
        "peers": (PEER,),
        "game": "answer",
        "mix": "easy",
        "expires": EXPIRES,
    }
    return Invite(**base | changes)


def text_of(invite: Invite, key: str = KEY) -> str:
    """The line of text, signed with a key."""
    signature = Account.from_key(key).sign_message(encode_defunct(text=invite.signed_text())).signature
    return Signed(invite=invite, signature=bytes(signature)).text()
