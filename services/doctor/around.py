"""What this household talks to beside the chain: entry points of the peer network, the judge, the hub, the account."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from services.doctor.chain import away, bad
from services.doctor.check import Check
from services.doctor.machine import Told
from services.doctor.web import Silent, ask, is_near, shown, silence
from shared.invite import reachable_form

GREETING = b"\x13/multistream/1.0.0\n"  # what a libp2p host says first
PLACE = re.compile(r"^/(?:ip4|ip6|dns|dns4|dns6)/([^/]+)/tcp/([0-9]+)/p2p/(.+)$")
AT_ONCE = 16


def bootnodes(addresses: Sequence[str], patience_s: float) -> list[Check]:
    """Each of them; where another one answers, a dead one is worth knowing and no more."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        faults = list(pool.map(lambda address: greeted(address, patience_s), addresses))
    if not addresses:
        return [Check("bootnodes", True, "none are named: others come to us", part="around")]
    some = any(fault == "" for fault in faults)
    remedy = "ask for others"
    if some:
        remedy = "the others do; whoever owns the swarm takes it off: rlswarm bootnodes"
    return [
        Check("bootnode", True, address, part="around")
        if not fault
        else Check("bootnode", None if some else False, f"{address} does not answer: {fault}", remedy, "around")
        for address, fault in zip(addresses, faults, strict=True)
    ]


def greeted(address: str, patience_s: float) -> str:
    """Why nobody of the peer network answers at a multiaddress; "": somebody does. Who it is, is not looked at."""
    found = PLACE.match(address)
    if found is None or not reachable_form(address):
        return "it is written as no /ip4/ADDRESS/tcp/PORT/p2p/ID"
    try:
        with socket.create_connection((found[1], int(found[2])), patience_s) as line:
            line.settimeout(patience_s)
            line.sendall(GREETING)
            said = b""
            while len(said) < len(GREETING) and (more := line.recv(len(GREETING) - len(said))):
                said += more
    except (OSError, OverflowError) as error:
        return str(silence(error, patience_s))
    return "" if said == GREETING else "what listens there is no peer"


def judge(url: str, patience_s: float, *, started: bool) -> Check:
    """By the one question that leaves nothing behind."""
    try:
        reply = ask(f"{url.rstrip('/')}/current_clue/", patience_s)
    except Silent as silent:
        cause = f"no judge answers at {shown(url)}: {silent}"
        return away("judge", cause, "see its log and JUDGE_URL; training goes on without it", url, started)
    told = reply.json()
    if reply.status != HTTPStatus.OK:
        return bad("judge", f"the judge at {shown(url)} answers HTTP {reply.status}", "see its log")
    if not isinstance(told, dict) or "game_id" not in told:
        return bad("judge", f"what answers at {shown(url)} is no judge", "see JUDGE_URL")
    return Check("judge", True, f"answers at {shown(url)}", part="around")


def hub(url: str, token: str | None, patience_s: float, *, publish: bool) -> tuple[Check, list[Told]]:
    """Whose the token is and what it may; without one nobody is asked. And what time it is there."""
    if token is None:
        return Check(
            "hub", True, "no token: models of the hub that need none, and nothing is published", part="around"
        ), []
    try:
        reply = ask(f"{url.rstrip('/')}/api/whoami-v2", patience_s, headers={"Authorization": f"Bearer {token}"})
    except (Silent, ValueError) as silent:
        cause = f"the hub does not answer at {shown(url)}: {silent}"
        return Check("hub", None, cause, "see the network and HF_ENDPOINT; what is here already is used", "around"), []
    times = [Told(shown(url), reply.date, exact=True)] if reply.date is not None and not is_near(url) else []
    return _scope(reply.status, reply.json(), url, publish), times


def _scope(status: int, told: Any, url: str, publish: bool) -> Check:
    renew = "make another at the hub (settings, access tokens), and set HF_TOKEN; None: no token"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return bad("hub", "the hub does not take the token: it is wrong, expired or revoked", renew)
    if status != HTTPStatus.OK or not isinstance(told, dict) or "name" not in told:
        return bad("hub", f"what answers at {shown(url)} (HTTP {status}) is no hub", "see HF_ENDPOINT")
    who, scope = told["name"], role(told)
    if scope in ("write", "fineGrained"):
        return Check("hub", True, f"the token is {who}'s, and may write", part="around")
    cause = f"the token is {who}'s, and may only read: nothing can be published with it"
    return Check("hub", False if publish else None, cause, "make one that may write, or set PUBLISH=false", "around")


def role(told: dict[str, Any]) -> str:
    """What the token may: write, read, or fineGrained where some repository may be written; as the hub tells."""
    auth = told.get("auth")
    token = auth.get("accessToken") if isinstance(auth, dict) else None
    found = str(token.get("role", "read")) if isinstance(token, dict) else "read"
    if found == "fineGrained" and "repo.write" not in str(token):
        return "read"
    return found


def account(url: str, token: str, patience_s: float, *, started: bool) -> tuple[Check, str | None]:
    """The household's account as identity tells it, and its address."""
    try:
        reply = ask(f"{url.rstrip('/')}/account", patience_s, headers={"Authorization": f"Bearer {token}"})
    except Silent as silent:
        cause = f"identity does not answer at {shown(url)}: {silent}"
        return away("account", cause, "see its log and SIGNER_URL", url, started), None
    told = reply.json()
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return bad("account", "identity knows another token than ours", "give both the same SIGNING_TOKEN_FILE"), None
    if reply.status != HTTPStatus.OK or not isinstance(told, dict) or "state" not in told:
        return bad("account", f"what answers at {shown(url)} is not identity", "see SIGNER_URL"), None
    address, state = told.get("address"), told["state"]
    if state == "locked":
        remedy = "log in on the page, or run: rlswarm login"
        return bad("account", f"the key of {address} is locked: rewards wait", remedy), address
    if state == "none":
        return Check("account", None, "there is none yet: rewards wait", "sign up on the page", "around"), None
    return Check("account", True, f"{address}, its key is open", part="around"), address
