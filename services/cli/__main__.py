"""`rlswarm`: found a swarm, look at it, stop it.

up --local, init, join --> services.local: supervisord --> Redis, anvil, the services
invite, allow, disallow, hand-over --> services.identity.admin --> identity, coordinator
eval --> services.trainer.evaluation, in a process of its own
plot --> services.trainer.tracking.curves, on the run's history files
publish, export, merge --> services.publisher, in a process of its own
status, logs, down, pause, resume, pace, bootnodes --> the run's folder, supervisord's socket, Redis
doctor --> services.doctor, and a look at this machine
login, identity, explain-reward --> the page's REST API, services.identity.admin
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from services.cli.options import ModelOption, NameOption, PeersOption, run_name
from services.cli.own import COMMANDS
from services.local.folder import find_run
from services.local.settings import local_settings
from shared.errors import SwarmError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A self-hosted swarm that trains language models together by reinforcement learning.",
    pretty_exceptions_enable=False,
)

export = typer.Typer(no_args_is_help=True, help="Make files of a run's model for other programs.")
app.add_typer(export, name="export")


@app.command()
def up(
    local: Annotated[bool, typer.Option("--local", help="As processes on this machine, without Docker.")] = False,
    peers: PeersOption = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop after so many (default: never).")] = None,
    name: Annotated[str | None, typer.Option(help="Of the run; an old name resumes it (default: the time).")] = None,
    model: ModelOption = None,
    no_table: Annotated[bool, typer.Option("--no-table", help="Plain lines, also in a terminal.")] = False,
) -> None:
    """Start a swarm, or resume one, and stay with it until it is through or Ctrl-C."""
    from services.cli.up import run_up
    from services.local.up import Asked

    if not local:
        raise SwarmError("only the stack without Docker can be started from here", "run: rlswarm up --local")
    chosen = run_name(name or time.strftime("swarm-%Y%m%d-%H%M%S"))
    raise typer.Exit(run_up(chosen, Asked(peers, rounds, model), local_settings(), with_table=not no_table))


for command in COMMANDS:
    app.command()(command)


@app.command()
def down(name: NameOption = None) -> None:
    """Stop a run in good order; `rlswarm up --local --name NAME` resumes it."""
    from services.local.up import down as stop

    folder = find_run(local_settings().runs_dir, name)
    print(f"{folder.root.name} is stopped" if stop(folder) else f"{folder.root.name} was not running")


@app.command()
def status(
    name: NameOption = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Show peers, rewards and services. Exit code 1 if the run is not up."""
    from services.cli.status import run_status

    raise typer.Exit(run_status(find_run(local_settings().runs_dir, name), as_json=as_json))


@app.command()
def logs(
    service: Annotated[
        str | None, typer.Argument(help="redis, chain, p2p, trainer, trainer-0, ... (default: all)")
    ] = None,
    name: NameOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is added.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Of each file.")] = 20,
) -> None:
    """Show what the services wrote."""
    from services.cli.logs import log_files, run_logs

    run_logs(log_files(find_run(local_settings().runs_dir, name), service), lines, follow=follow)


@app.command()
def plot(
    name: NameOption = None,
    out: Annotated[Path, typer.Option(help="File, ending in .svg, .png or .pdf.")] = Path("curves.svg"),
    history: Annotated[Path | None, typer.Option(help="A folder of history files (default: that of the run).")] = None,
) -> None:
    """Draw rewards, loss and completion length of a run, up or not, by round."""
    folder = history or find_run(local_settings().runs_dir, name).state / "history"
    command = [sys.executable, "-m", "services.trainer.tracking.curves", str(folder), str(out)]
    if code := subprocess.run(command, check=False).returncode:
        raise typer.Exit(code)
    print(out)


@app.command(name="explain-reward")
def explain_reward(
    number: Annotated[int, typer.Argument(metavar="ROUND", min=0, help="Counted from 0.")],
    peer: Annotated[str | None, typer.Argument(help="Its id or its name (default: all that are known).")] = None,
    name: NameOption = None,
    url: Annotated[str | None, typer.Option(help="Of the page (default: that of the run).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Show what a round's reward is made of: completions, scores, formula, transaction, block."""
    from services.cli.explain import run_explain
    from services.cli.identity import page_of

    address = url or page_of(find_run(local_settings().runs_dir, name))
    raise typer.Exit(run_explain(address, number, peer, as_json=as_json))


@app.command()
def chain(name: NameOption = None, port: Annotated[int, typer.Option(help="To listen on.")] = 8545) -> None:
    """Start only the chain of a run that is not up, to look things up on it; Ctrl-C ends it."""
    from services.local.anvil import find_anvil
    from services.local.programs import chain_environment
    from services.local.supervisor import Supervisor

    settings = local_settings()
    folder = find_run(settings.runs_dir, name)
    if Supervisor(folder).alive():
        raise SwarmError(f"{folder.root.name} is up, and so is its chain", "see rlswarm status")
    told, plan = chain_environment(folder, find_anvil(settings.cache_dir.absolute()), port), folder.read_plan()
    if plan is not None and plan.chain_id is not None:
        told["CHAIN_ID"] = str(plan.chain_id)
    command = [sys.executable, "-m", "services.chain"]
    os.execve(sys.executable, command, {**os.environ, **told})  # noqa: S606 - no shell: becomes the chain


@app.command()
def login(
    name: NameOption = None,
    user: Annotated[str | None, typer.Option(help="The owner's name (default: it is asked for).")] = None,
    url: Annotated[str | None, typer.Option(help="Of the page (default: that of the run).")] = None,
    passphrase_file: Annotated[Path | None, typer.Option(help="Instead of asking for the passphrase.")] = None,
    code: Annotated[str | None, typer.Option(help="The code in claim.code, where others reach the page, too.")] = None,
) -> None:
    """Log in without a browser, or sign up on a new node: this opens the key, and what waited for it is sent."""
    from services.cli.identity import login as log_in
    from services.cli.identity import page_of

    address = url or page_of(find_run(local_settings().runs_dir, name))
    print(log_in(address, user, passphrase_file, code))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    short_help="Export, import, back up, restore, rotate: `rlswarm identity --help`.",
)
def identity(context: typer.Context, name: NameOption = None) -> None:
    """The household's account and key, in the folder of a run."""
    from services.cli.identity import administer

    raise typer.Exit(administer(find_run(local_settings().runs_dir, name), context.args))


@app.command(name="eval")
def evaluate(
    model: Annotated[
        str | None, typer.Argument(help="A run (or RUN/PEER), `embedded`, a model of the hub, or a folder.")
    ] = None,
    before: Annotated[str | None, typer.Option(help="Another one, to compare with on the same questions.")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="A server that speaks OpenAI's API, http://host:8000/v1: compare with it.")
    ] = None,
    served: Annotated[str | None, typer.Option("--model", help="The name of the model there.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Requests to the endpoint at a time.")] = 8,
    mix: Annotated[
        str | None, typer.Option(help="Of questions: easy, six, nine, gsm, ... (default: DATA_MIX).")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, help="Of each set.")] = 50,
    samples: Annotated[int, typer.Option(min=2, max=64, help="k: answers sampled for each question.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed, the same questions and draws.")] = 42,
    base: Annotated[str | None, typer.Option(help="The model that a checkpoint folder was trained from.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of the table.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the JSON to a file, too.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it, as .svg or .png.")] = None,
) -> None:
    """Ask held-out questions and mark the answers: pass@1 and mean@k by task, with 95 % intervals."""
    from services.cli.evaluate import run_eval

    options = [f"--questions={questions}", f"--samples={samples}", f"--seed={seed}"]
    told = {"mix": mix, "base": base, "out": out, "plot": plot, "endpoint": endpoint, "model": served}
    options += [f"--{name}={given}" for name, given in told.items() if given]
    options += [f"--concurrency={concurrency}"] if endpoint else []
    raise typer.Exit(run_eval(local_settings().runs_dir, before, model, [*options, *(["--json"] if as_json else [])]))


@app.command()
def publish(
    name: NameOption = None,
    peer: Annotated[str | None, typer.Option(help="Whose checkpoint, by its id (default: the latest).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only make the repository's folder, for a look.")] = False,
    out: Annotated[Path | None, typer.Option(help="That folder (default: in the run's, under `published`).")] = None,
) -> None:
    """Evaluate a run's newest checkpoint, and make it a repository of the Hugging Face hub: model, card, plots."""
    from services.cli.publish import run_publish

    raise typer.Exit(run_publish(find_run(local_settings().runs_dir, name), peer, out, dry_run=dry_run))


@app.command()
def merge(
    parents: Annotated[list[str], typer.Argument(help="Published models of one base: folders, or hub repositories.")],
    out: Annotated[Path, typer.Option(help="The folder to be made.")] = Path("merged"),
    method: Annotated[str, typer.Option(help="linear | task-arithmetic")] = "linear",
    weights: Annotated[str, typer.Option(help="One number for each, as 1,2,1 (default: equal).")] = "",
    scale: Annotated[float, typer.Option(help="Of the summed changes, by task arithmetic.")] = 1.0,
) -> None:
    """Make one model of several peers', and keep it if it is better than each on held-out questions."""
    from services.cli.publish import run_merge

    raise typer.Exit(run_merge(parents, out, method, weights, scale))


@export.command()
def gguf(
    name: NameOption = None,
    peer: Annotated[str | None, typer.Option(help="Whose checkpoint, by its id (default: the latest).")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder (default: `gguf` in the run's).")] = None,
) -> None:
    """Make files for llama.cpp and Ollama of a run's newest checkpoint, each compared with the model."""
    from services.cli.publish import run_export

    raise typer.Exit(run_export(find_run(local_settings().runs_dir, name), peer, out))


@app.command()
def doctor(
    name: NameOption = None, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Check that this machine can run a swarm and that its run is well, and say what to do if not.

    Exit code 0: fit; 1: the machine is not; 2: the settings are not; 3: what it talks to is not.
    """
    from services.cli.doctor import run_checks
    from services.doctor.check import as_json as told
    from services.doctor.check import as_line, exit_code

    settings = local_settings()
    folder = find_run(settings.runs_dir, name) if name or any(settings.runs_dir.glob("*/plan.json")) else None
    checks = run_checks(settings, folder)
    print(json.dumps(told(checks)) if as_json else "\n".join(map(as_line, checks)))
    raise typer.Exit(exit_code(checks))


def main() -> None:
    """Entry point: an expected failure is one line."""
    try:
        app()
    except SwarmError as error:
        print(f"rlswarm: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
