"""Everything that is looked at, in order.

settings --> machine: Python, versions, memory, disk, GPU
         --> around:  Redis, services, chain, contract, account, balance, bootnodes, judge, hub
         --> the clock, by what chain and hub say
"""

from __future__ import annotations

from services.doctor import around, chain, machine
from services.doctor.check import Check
from services.doctor.gpu import gpu
from services.doctor.household import Seen, household
from services.doctor.machine import Told
from services.doctor.settings import DoctorSettings
from services.doctor.web import is_near, listens
from shared.errors import SettingsError
from shared.invite import parse
from shared.settings import read_secret

ACCEPTED = "coordinator/invite.accepted"  # who has joined stays when the invite expires


def examine(settings: DoctorSettings, now: float, *, started: bool | None, with_gpu: bool = True) -> list[Check]:
    """Look at everything. `started`: whether the household's own parts should answer; None: if one of them does."""
    found = [machine.python(), machine.versions(), machine.memory(settings.peers), machine.disk(settings.state_dir)]
    if with_gpu:
        found.append(gpu(cpu_only=settings.cpu_only))
    up = _seems_up(settings) if started is None else started
    checks, seen = _household(settings, up)
    if settings.invite:
        joined = seen.chain is not None or (settings.state_dir / ACCEPTED).exists()
        found.append(invite(settings.invite, now, joined=joined))
    found += checks
    checks, node, times = _chain(settings, seen, up)
    found += checks
    addresses = list(dict.fromkeys([*settings.initial_peers, *seen.bootnodes, *_on_contract(settings, node, seen)]))
    found += around.bootnodes(addresses, settings.patience_s)
    if settings.judge_url:
        found.append(around.judge(settings.judge_url, settings.patience_s, started=up))
    checked, more = around.hub(settings.hub, settings.hub_token, settings.patience_s, publish=settings.publish)
    return [*found, checked, machine.clock(now, [*times, *more])]


def invite(text: str, now: float, *, joined: bool) -> Check:
    """An invite that was damaged did not get as far as this."""
    try:
        told = parse(text, None if joined else now).invite
    except SettingsError as error:
        return Check("invite", False, error.cause, error.remedy, "settings")
    return Check("invite", True, f"into the swarm {told.swarm}, by {told.founder}", part="settings")


def _seems_up(settings: DoctorSettings) -> bool:
    """Whether any of the household's own parts is there: then all of them should be."""
    parts = (settings.redis_url, settings.signer_url, settings.judge_url)
    return any(listens(part, settings.patience_s) for part in parts if part and is_near(part))


def _household(settings: DoctorSettings, started: bool) -> tuple[list[Check], Seen]:
    if settings.redis_url is None:
        return [], Seen()
    try:
        password = settings.redis_password()
    except SettingsError as error:
        if started:
            return [Check("redis", False, error.cause, error.remedy, "settings")], Seen()
        return [Check("redis", None, "not started yet: it has no password", "look again", "around")], Seen()
    return household(settings.redis_url, password, settings.patience_s, started=started)


def _chain(settings: DoctorSettings, seen: Seen, up: bool) -> tuple[list[Check], chain.Node | None, list[Told]]:
    checks, address = _account(settings, up)
    if settings.chain_url is None:
        return checks, None, []
    if settings.chain_url == chain.LEDGER:
        return [Check("chain", True, "a ledger on this machine", part="around"), *checks], None, []
    node = chain.Node(settings.chain_url, settings.patience_s)
    first, times = chain.chain(node, settings.chain_id, started=up)
    if first.ok is not True:
        return [first, *checks], None, times
    second = chain.contract(node, _contract(settings, seen))
    third = [chain.balance(node, address)] if address else []
    return [first, second, *checks, *third], node, times


def _account(settings: DoctorSettings, up: bool) -> tuple[list[Check], str | None]:
    if settings.signer_url is None or settings.signing_token_file is None:
        return [], None
    try:
        token = read_secret(settings.signing_token_file, "SIGNING_TOKEN_FILE") or ""
    except SettingsError as error:
        if up:
            return [Check("account", False, error.cause, error.remedy, "settings")], None
        return [Check("account", None, "not started yet: there is no token for identity", "look again", "around")], None
    check, address = around.account(settings.signer_url, token, settings.patience_s, started=up)
    return [check], address


def _contract(settings: DoctorSettings, seen: Seen) -> str | None:
    return settings.swarm_contract or (seen.chain.contract if seen.chain else None)


def _on_contract(settings: DoctorSettings, node: chain.Node | None, seen: Seen) -> list[str]:
    address = _contract(settings, seen)
    return chain.bootnodes_of(node, address) if node and address else []
