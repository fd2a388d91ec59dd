"""Options that more than one command has, and what of them is refused."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from services.local.folder import NAME
from shared.errors import SettingsError

NameOption = Annotated[str | None, typer.Option("--name", help="The run; if not given, the one started last.")]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Name or address under which other machines reach this one.")
]
PeersOption = Annotated[int | None, typer.Option("--peers", min=1, max=64, help="Trainers here (default: 3).")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Hub id, folder, or auto: what fits (default: embedded).")
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=365, help="For which an invite is good.")]


def run_name(name: str) -> str:
    """The name, if a run may have it. Raises SettingsError."""
    if not re.match(NAME, name):
        raise SettingsError(f"{name} is no name for a run", "use a-z, 0-9 and -, at most 63 signs")
    return name


def host_name(host: str | None) -> str | None:
    """The host, if it may stand in addresses. Raises SettingsError."""
    if host is not None and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252})", host):
        raise SettingsError(f"{host} is no name and no IPv4 address", "give --host as other machines write it")
    return host
