"""Whose token this is, and whether it may write. Pure: what the hub's whoami-v2 answered in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import SwarmError

REMEDY = "make one with the right to write (https://huggingface.co/settings/tokens) and set HF_TOKEN, or PUBLISH=false"


class Refused(SwarmError):
    """The hub does not let this token write; trying again does not help before somebody has changed it."""

    exit_code = 3


@dataclass(frozen=True)
class Account:
    """Where repositories go."""

    owner: str


def account_of(told: Mapping[str, Any], owner: str | None) -> Account:
    """The owner of the repositories: the one asked for, or the token's user. Raises Refused."""
    user = str(told.get("name", ""))
    wanted = owner or user
    if wanted not in {user, *(str(org.get("name")) for org in told.get("orgs") or ())}:
        raise Refused(f"the token is {user}'s, who is not part of {wanted}", "see PUBLISH_OWNER and HF_TOKEN")
    token = (told.get("auth") or {}).get("accessToken") or {}
    role = token.get("role")
    if role == "write" or (role == "fineGrained" and _may_write(token.get("fineGrained") or {}, wanted)):
        return Account(wanted)
    kind = "read-only" if role == "read" else f"a token without the right to write to {wanted}'s repositories"
    raise Refused(f"the token is {kind}: nothing is published, training goes on", REMEDY)


def _may_write(granted: Mapping[str, Any], owner: str) -> bool:
    scoped = granted.get("scoped") or ()
    ours = [one for one in scoped if (one.get("entity") or {}).get("name") == owner]
    return any("repo.write" in (one.get("permissions") or ()) for one in ours)
