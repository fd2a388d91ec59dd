"""`rlswarm login` and `rlswarm identity`: the household's account, from a terminal."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from services.local.folder import RunFolder
from services.local.programs import environment
from shared.errors import SwarmError

TIMEOUT_S = 30.0  # making or opening a key takes a second on purpose


def page_of(folder: RunFolder) -> str:
    """The address of a run's page. Raises SwarmError if it was never started."""
    plan = folder.read_plan()
    if plan is None:
        raise SwarmError(f"the run {folder.root.name} has not been started", "start it: rlswarm up --local")
    return environment(plan, folder, os.environ)["IDENTITY_URL"]


def login(url: str, name: str | None, passphrase_file: Path | None, code: str | None) -> str:
    """Log in, or sign up where there is no owner yet; this opens the key. What to tell the user. Raises SwarmError.

    `code` is the one-time code of a page that others reach, too.
    """
    with httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False) as client:
        owned = bool(_ask(client, "GET", "/api/owner")["owned"])
        if not owned:
            print(f"The node at {url} has no owner yet: these become its name and passphrase.", file=sys.stderr)
        given = {"name": name or _prompt("Name: "), "passphrase": _passphrase(passphrase_file, twice=not owned)}
        if owned:
            notice = _ask(client, "POST", "/api/session", given).get("notice")
        else:
            notice = _ask(client, "POST", "/api/owner", {**given, "code": code or ""}).get("notice")
        account = _ask(client, "GET", "/api/account")
    done = f"{'Logged in' if owned else 'Signed up'}: account {account['address']}, its key is {account['key']}."
    return "\n".join(filter(None, [done, f"Stock nodes of yours use ORG_ID={account['org_id']}", str(notice or "")]))


def administer(folder: RunFolder, arguments: Sequence[str]) -> int:
    """Run `python -m services.identity.admin` on a run's state; its exit code."""
    plan = folder.read_plan()
    told = environment(plan, folder, os.environ) if plan else dict(os.environ)
    command = [sys.executable, "-m", "services.identity.admin", *arguments]
    return subprocess.run(command, env={**told, "STATE_DIR": str(folder.state)}, check=False).returncode


def _ask(client: httpx.Client, method: str, path: str, body: object = None) -> dict[str, object]:
    try:
        response = client.request(method, path, json=body)
        told: dict[str, object] = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise SwarmError(
            f"no page answers at {client.base_url} ({type(error).__name__})", "see that it runs: rlswarm status"
        ) from error
    if response.status_code != httpx.codes.OK:
        raise SwarmError(str(told.get("error", told)).rstrip("."), "try again")
    return told


def _passphrase(file: Path | None, *, twice: bool) -> str:
    if file is not None:
        try:
            return file.read_text().strip()
        except OSError as error:
            raise SwarmError(f"{file} cannot be read ({error.strerror})", "see --passphrase-file") from error
    if not sys.stdin.isatty():
        raise SwarmError("there is no terminal to ask for the passphrase", "use --passphrase-file")
    found = getpass.getpass("Passphrase: ")
    if twice and getpass.getpass("Once more: ") != found:
        raise SwarmError("the two passphrases differ", "try again")
    return found


def _prompt(text: str) -> str:
    if not sys.stdin.isatty():
        raise SwarmError("there is no terminal to ask for the name", "use --user")
    return input(text).strip()
