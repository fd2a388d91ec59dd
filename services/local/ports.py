"""Finds a port for everything that listens: the one asked for, the one of the last start, or the next free one.

A port that the environment names, or that others know, is used or the start fails; any other may move, and whoever
moves says so. What is chosen is held until the chooser ends, so that two starts at once do not choose the same. The
ports of a run are kept in its plan, so that a restart finds its peers, its chain and its page where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.local.held import hold
from services.local.processes import listener_on
from shared.errors import SwarmError

_TRIES = 200


@dataclass(frozen=True)
class Want:
    """A listener that needs `count` consecutive ports."""

    name: str
    default: int
    variable: str | None = None  # environment variable by which a user fixes it
    count: int = 1
    known: bool = False  # others have been told: where the last start had it, or nowhere


@dataclass(frozen=True)
class Picked:
    """The ports by name, and a line for each that is not where one would look for it."""

    ports: dict[str, int]
    notes: list[str]


def wants(programs: list[str], peers: int, *, own_redis: bool, own_chain: bool, known: bool = False) -> list[Want]:
    """All that listens in a run; `programs` are those with a health port. `known`: others know peers and chain."""
    wanted = [
        Want("identity", 3000, "IDENTITY_PORT"),
        Want("signer", 3002, "SIGNER_PORT"),
        Want("judge", 8000, "JUDGE_PORT"),
        Want("p2p", 38331, "P2P_PORT", peers, known),
    ]
    if own_redis:
        wanted.append(Want("redis", 6379, "REDIS_PORT"))
    if own_chain:
        wanted.append(Want("chain", 8545, "CHAIN_PORT", known=known))
        programs = [*programs, "chain"]
    return wanted + [Want(f"health:{program}", 9400 + index) for index, program in enumerate(programs)]


def pick(
    wanted: list[Want],
    environ: Mapping[str, str],
    kept: Mapping[str, int],
    is_free: Callable[[int], bool] = hold,
    who: Callable[[int], str | None] = listener_on,
) -> Picked:
    """Choose ports, and hold them for this process; raises SwarmError where the environment names one that is taken or
    is no port. With another `is_free` nothing is held."""
    picked = Picked({}, [])
    used: set[int] = set()
    for want in wanted:
        start = _pick_one(want, environ, kept.get(want.name), used, is_free, who, picked.notes)
        picked.ports[want.name] = start
        used |= set(range(start, start + want.count))
    return picked


def _pick_one(
    want: Want,
    environ: Mapping[str, str],
    kept: int | None,
    used: set[int],
    free: Callable[[int], bool],
    who: Callable[[int], str | None],
    notes: list[str],
) -> int:
    fixed = _fixed(want, environ)
    first = fixed or kept or want.default
    for start in range(first, min(first + _TRIES, 65536 - want.count)):
        taken = next((port for port in range(start, start + want.count) if port in used or not free(port)), None)
        if taken is None:
            if start != first and want.variable:
                notes.append(f"port {first} for {want.name} is taken{_by(first, who)}, took {start}")
            return start
        if kept and want.known and not fixed:
            raise SwarmError(
                f"port {taken} for {want.name} is taken{_by(taken, who)}, and others know this swarm by it",
                f"end that program, or set {want.variable} and send out new invites",
            )
        if fixed:
            raise SwarmError(
                f"{want.variable} asks for port {taken}, which is taken{_by(taken, who)}",
                f"end that program, or set {want.variable} to a free port",
            )
    raise SwarmError(f"no free port for {want.name} from {first} on", "end what listens there")


def _fixed(want: Want, environ: Mapping[str, str]) -> int | None:
    text = environ.get(want.variable or "", "").strip()
    if text in ("", "None", "0"):  # 0 asks for any free port
        return None
    if not text.isdecimal() or not 0 < int(text) <= 65536 - want.count:
        raise SwarmError(f"{want.variable}={text} is not a port", f"set {want.variable} to a number from 1 to 65535")
    return int(text)


def _by(port: int, who: Callable[[int], str | None]) -> str:
    name = who(port)
    return f" by {name}" if name else ""
