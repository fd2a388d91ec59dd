"""What a run is made of: the programs, the order they start in, and what each is told.

    redis -> chain -> coordinator, identity, judge, p2p -> trainer-0 .. trainer-n-1 -> publisher

They are all started at once in this order and stopped in the reverse one; each waits by itself for its neighbours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.local.embedded import redis_command
from services.local.folder import MARK, Plan, RunFolder
from shared.invite import variables_of

SERVICES = ("coordinator", "identity", "judge", "p2p")
PUBLISHER = "publisher"  # runs where there is a token of the hub
TOKENS = ("HF_TOKEN", "HUGGINGFACE_ACCESS_TOKEN")
QUICK_S = 3  # redis and anvil are up at once, or not at all
EMBEDDED = {"OMP_NUM_THREADS": "1"}  # a tiny model on two threads is 10 times slower than on one
EVERYWHERE = "0.0.0.0"  # noqa: S104 - all addresses of this machine, where the user said that others may come
OFF = ("", "None")  # how RL Swarm users write that a variable is not set
SAY_NO = ("IDENTITY_PASSPHRASE_FILE",)  # those to which an empty value means no, and not the default


@dataclass(frozen=True)
class Program:
    """One process under supervision. Its own environment goes into a file: nothing secret belongs there."""

    name: str
    command: tuple[str, ...]
    priority: int  # lower starts earlier and stops later
    group: str = ""  # those of a group stop together; "": alone
    environment: Mapping[str, str] = field(default_factory=dict)
    settled_s: int | None = None  # a program that lives so long has started well; None: as the settings say


def trainers(peers: int) -> list[str]:
    """The trainers' program names, which are also their instance names."""
    return [f"trainer-{index}" for index in range(peers)]


def place(program: str) -> tuple[int, int]:
    """Where a program stands in the starting order; what is not known comes last."""
    kind, _, number = program.partition("-")
    order = ("redis", "chain", *SERVICES, "trainer", PUBLISHER)
    return (order.index(kind) if kind in order else len(order), int(number) if number.isdecimal() else 0)


def programs(plan: Plan, folder: RunFolder, anvil: Path | None) -> list[Program]:
    """All programs of a run; `anvil` is the chain's binary, None where the chain is not ours."""
    found: list[Program] = []
    if plan.own_redis:
        found.append(Program("redis", tuple(redis_command(folder, plan.ports["redis"])), 1, settled_s=QUICK_S))
    if anvil is not None:
        told = {**chain_environment(folder, anvil, plan.ports["chain"]), "HTTP_PORT": str(plan.ports["health:chain"])}
        found.append(Program("chain", _module("chain"), 2, environment=told, settled_s=QUICK_S))
    found += [_service(name, name, plan, 10, "services") for name in SERVICES]
    found += [_service(name, "trainer", plan, 20, "trainers") for name in trainers(plan.peers)]
    return found + ([_service(PUBLISHER, PUBLISHER, plan, 30, "")] if any(map(user_sets, TOKENS)) else [])


def chain_environment(folder: RunFolder, anvil: Path, port: int) -> dict[str, str]:
    """What the run's chain is told."""
    return {"ANVIL_BIN": str(anvil), "CHAIN_PORT": str(port), "CHAIN_STATE": str(folder.chain_state)}


def environment(plan: Plan, folder: RunFolder, environ: Mapping[str, str]) -> dict[str, str]:
    """What every program of the run is told: the user's environment, completed by what it does not set."""
    given = {name: value for name, value in environ.items() if value.strip() not in OFF or name in SAY_NO}
    # Addresses as the plan has them, which was made from this environment or from that of the run's first start.
    fixed = {
        "JUDGE_PORT": str(plan.ports["judge"]),
        "IDENTITY_PORT": str(plan.ports["identity"]),
        "SIGNER_PORT": str(plan.ports["signer"]),
        "P2P_PORT": str(plan.ports["p2p"]),
        "P2P_PEERS": str(plan.peers),
    }
    if plan.own_redis:
        fixed["REDIS_URL"] = f"redis://127.0.0.1:{plan.ports['redis']}/0"
    if plan.own_chain:
        fixed["CHAIN_URL"] = f"http://127.0.0.1:{plan.ports['chain']}"
    elif plan.chain_url is not None:
        fixed["CHAIN_URL"] = plan.chain_url
    if plan.ledger:
        fixed["CHAIN_URL"] = "ledger"
    if plan.chain_id is not None:
        fixed["CHAIN_ID"] = str(plan.chain_id)
    if plan.rounds is not None:
        fixed["MAX_ROUNDS"] = str(plan.rounds)
    fixed["MODEL_NAME"] = plan.model or "embedded"  # a trainer that is told nothing picks one for its hardware
    invited = {**variables_of(plan.invite), "SWARM_INVITE": plan.invite} if plan.invite else {}
    return {**_defaults(plan, folder), **_for_others(plan), **invited, **given, **fixed, MARK: str(folder.root)}


def _defaults(plan: Plan, folder: RunFolder) -> dict[str, str]:
    found = {
        "JUDGE_URL": f"http://127.0.0.1:{plan.ports['judge']}",
        "IDENTITY_URL": f"http://127.0.0.1:{plan.ports['identity']}",
        "SIGNER_URL": f"http://127.0.0.1:{plan.ports['signer']}",
        "SIGNING_TOKEN_FILE": str(folder.signing_token),
        "IDENTITY_PASSPHRASE_FILE": str(folder.passphrase),
        "STATE_DIR": str(folder.state),
        "SWARM_NAME": plan.name,
        "PYTHONUNBUFFERED": "1",
    }
    return found | (EMBEDDED if plan.model in (None, "embedded") else _for_large_models(plan.peers))


def _for_others(plan: Plan) -> dict[str, str]:
    """How other machines are let in, where the run was told under which address they reach this one."""
    if plan.host is None:
        return {}
    found = {"P2P_HOST": EVERYWHERE, "P2P_ANNOUNCE_HOST": plan.host}
    if plan.own_chain:
        found |= {"CHAIN_HOST": EVERYWHERE, "INVITE_CHAIN_URL": f"http://{plan.host}:{plan.ports['chain']}"}
    return found


def _for_large_models(peers: int) -> dict[str, str]:
    """A model of the hub has harder tasks, and takes minutes for what the embedded one does in a second."""
    threads = max(1, (os.cpu_count() or 1) // peers)
    return {"DATA_MIX": "nine", "ROUND_MAX_S": "300", "HEALTH_BOUND_S": "1800", "TORCH_THREADS": str(threads)}


def _service(name: str, service: str, plan: Plan, priority: int, group: str) -> Program:
    told = {"INSTANCE": name, "HTTP_PORT": str(plan.ports[f"health:{name}"])}
    return Program(name, _module(service), priority, group, told)


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"services.{name}")


def user_sets(name: str) -> bool:
    """True if the user's environment sets a variable."""
    return os.environ.get(name, "").strip() not in OFF
