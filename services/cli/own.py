"""The commands of who founds a swarm, and of who joins one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from services.cli.options import DaysOption, HostOption, ModelOption, NameOption, PeersOption, host_name, run_name
from services.local.folder import RunFolder, find_run
from services.local.settings import local_settings


class OnOff(StrEnum):
    """A switch."""

    ON = "on"
    OFF = "off"


def init(
    name: Annotated[str, typer.Argument(help="Of the swarm, and of its run.")],
    host: HostOption = None,
    peers: PeersOption = None,
    model: ModelOption = None,
    days: DaysOption = 30,
) -> None:
    """Found a swarm: keys, contract on the chain, peers' identities and ports. Prints the invite for others."""
    from services.cli.swarm import run_init
    from services.local.up import Asked

    settings = local_settings()
    asked = Asked(peers=peers, model=model, host=host_name(host))
    raise typer.Exit(run_init(RunFolder(settings.runs_dir / run_name(name)), asked, settings, days))


def invite(name: NameOption = None, days: DaysOption = 30) -> None:
    """Print the invite to the swarm that a run founded; the run has to be up."""
    from services.cli.swarm import invite as print_invite

    raise typer.Exit(print_invite(find_run(local_settings().runs_dir, name), days))


def join(
    invite: Annotated[str, typer.Argument(help="The founder's line of text: rlswarm1....")],
    name: Annotated[str | None, typer.Option(help="Of the run here (default: the swarm's name).")] = None,
    host: HostOption = None,
    peers: PeersOption = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop after round so many (default: never).")] = None,
    model: ModelOption = None,
    no_table: Annotated[bool, typer.Option("--no-table", help="Plain lines, also in a terminal.")] = False,
) -> None:
    """Take part in a swarm that somebody else founded, until Ctrl-C; `rlswarm up --local --name NAME` resumes."""
    from services.cli.swarm import run_join
    from services.local.up import Asked

    asked = Asked(peers, rounds, model, invite, host_name(host))
    chosen = name and run_name(name)
    raise typer.Exit(run_join(invite, chosen, asked, local_settings(), with_table=not no_table))


def pause(name: NameOption = None) -> None:
    """Let no new round open in the swarm that a run founded; the one that is open goes on."""
    from services.cli.rounds import change_pace

    print(change_pace(find_run(local_settings().runs_dir, name), paused=True))


def resume(name: NameOption = None) -> None:
    """Let rounds open again."""
    from services.cli.rounds import change_pace

    print(change_pace(find_run(local_settings().runs_dir, name), paused=False))


def pace(
    min_s: Annotated[float | None, typer.Option("--min", help="Seconds that a round lasts at least.")] = None,
    max_s: Annotated[float | None, typer.Option("--max", help="Seconds after which it ends if anybody voted.")] = None,
    quorum: Annotated[float | None, typer.Option(help="Share of peers, up to 1, that ends it early.")] = None,
    as_configured: Annotated[bool, typer.Option("--as-configured", help="Forget what was set by page or CLI.")] = False,
    name: NameOption = None,
) -> None:
    """Set the pace of the swarm that a run founded, from the next round on; without an option, show it."""
    from services.cli.rounds import change_pace

    given = {"min_s": min_s, "max_s": max_s, "quorum": quorum}
    changes = {key: value for key, value in given.items() if value is not None or as_configured}
    print(change_pace(find_run(local_settings().runs_dir, name), **changes))


def bootnodes(
    addresses: Annotated[
        list[str] | None, typer.Argument(help="Multiaddresses that stand on the contract from now on.")
    ] = None,
    ours: Annotated[bool, typer.Option("--ours", help="This run's own peers, in front of those given.")] = False,
    none: Annotated[bool, typer.Option("--none", help="No bootnodes at all.")] = False,
    name: NameOption = None,
) -> None:
    """Show the swarm's bootnodes, or put others on the contract in their place."""
    from services.cli.rounds import change_bootnodes, show_bootnodes

    folder = find_run(local_settings().runs_dir, name)
    changes = bool(addresses) or ours or none
    print(*(change_bootnodes(folder, addresses or [], ours=ours) if changes else show_bootnodes(folder)), sep="\n")


def allow(
    addresses: Annotated[list[str] | None, typer.Argument(help="Accounts to put on the list, with checksum.")] = None,
    only_listed: Annotated[
        OnOff | None, typer.Option("--only-listed", help="Whether only accounts on the list take part.")
    ] = None,
    name: NameOption = None,
) -> None:
    """Show who may take part in the swarm that a run owns, or let accounts in."""
    from services.cli.swarm import order

    switch = [f"--only-listed={only_listed.value}"] if only_listed else []
    raise typer.Exit(order(find_run(local_settings().runs_dir, name), ["allow", *(addresses or []), *switch]))


def disallow(
    addresses: Annotated[list[str], typer.Argument(help="Accounts to take off the list, with checksum.")],
    name: NameOption = None,
) -> None:
    """Take accounts off the list; with --only-listed on, the contract takes nothing of theirs from then on."""
    from services.cli.swarm import order

    raise typer.Exit(order(find_run(local_settings().runs_dir, name), ["disallow", *addresses]))


def hand_over(
    address: Annotated[str, typer.Argument(help="The account of the owner to be, with checksum.")],
    leave: Annotated[bool, typer.Option("--leave", help="Give up all of this household's roles.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    name: NameOption = None,
) -> None:
    """Make another household's account the owner of the swarm, who leads its rounds from then on."""
    from services.cli.swarm import order

    options = ["--leave"] * leave + ["--yes"] * yes
    raise typer.Exit(order(find_run(local_settings().runs_dir, name), ["hand-over", address, *options]))


COMMANDS = (init, invite, join, pause, resume, pace, bootnodes, allow, disallow, hand_over)
