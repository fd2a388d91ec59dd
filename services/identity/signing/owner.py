"""What of an owner's calls may be signed, pure: each by its arguments, and roles only as the owner decided here.

    setListed, setRules, removeBootnode   as the contract reads them, and no other way
    grantRole                             one of the contract's roles, to the heir
    revokeRole                            one of the contract's roles, from ourselves; the last ones only on leaving

The heir is named on this machine (heir.py), in a file that only identity reads: whoever steals the coordinator's token
gives the swarm to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError, EncodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

OWNER_CALLS = {
    "setListed(address[],bool)": ("address[]", "bool"),
    "setRules((bool,bool,bool,uint32,uint32,uint128))": ("(bool,bool,bool,uint32,uint32,uint128)",),
    "removeBootnode(uint256)": ("uint256",),
    "grantRole(bytes32,address)": ("bytes32", "address"),
    "revokeRole(bytes32,address)": ("bytes32", "address"),
}
ROLES = {keccak(text=name): name for name in ("OWNER_ROLE", "STAGE_MANAGER_ROLE", "BOOTNODE_MANAGER_ROLE")}
MAX_LISTED = 100  # accounts in one call


@dataclass(frozen=True)
class Heir:
    """Who the owner hands the swarm over to."""

    account: str  # with checksum
    leave: bool  # our own roles go


def refusal(name: str, data: bytes, account: str, heir: Heir | None) -> str:
    """Why an owner's call (its arguments, without the selector) is not to be signed; "": it may be."""
    types = OWNER_CALLS[name]
    try:
        values = decode(types, data)
        if encode(types, values) != data:
            return f"the arguments of {name} are not written as they should be"
    except (DecodingError, EncodingError, ValueError):
        return f"the arguments of {name} cannot be read"
    if name.startswith("setListed") and not 1 <= len(values[0]) <= MAX_LISTED:
        return f"{len(values[0])} accounts at once: 1 to {MAX_LISTED} are listed in one call"
    if name.startswith(("grantRole", "revokeRole")):
        role, whose = values
        return _role_refusal(name, role, whose, account, heir)
    return ""


def _role_refusal(name: str, role: bytes, whose: str, account: str, heir: Heir | None) -> str:
    whose = to_checksum_address(whose)
    if role not in ROLES:
        return "the role is none of the contract's"
    if heir is None:
        return "the owner hands over to nobody now: rlswarm hand-over"
    if name.startswith("grantRole"):
        return "" if whose == heir.account else f"{whose} is not the heir that the owner named"
    if whose != to_checksum_address(account):
        return "a role is taken from ourselves only"
    if heir.account == whose or not (heir.leave or ROLES[role] == "STAGE_MANAGER_ROLE"):
        return f"the owner keeps {ROLES[role]}"
    return ""
