"""Accounts and key from the command line: `python -m services.identity.admin COMMAND`, or `rlswarm identity COMMAND`.

    backup FILE   the whole database, while identity runs or not
    restore FILE  put a backup in place; nobody is logged in afterwards
    export FILE   the key as a key file (Ethereum keystore)
    import FILE   use the key of a key file
    rotate        encrypt the key (and log in) with another passphrase
    reset-login   forget who may log in; the next to sign up is the owner
    invite        print the founder's invite to the swarm; identity has to run
    allow [ADDRESS...] [--only-listed on|off]   show the allow list, or put accounts on it; the coordinator has to run
    disallow ADDRESS...                         take accounts off it
    hand-over ADDRESS [--leave] [--yes]         make another account the owner who leads the rounds

A passphrase is typed, or read from a file that is named: it is never an argument, where every process could read it.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import Connection, delete, select, update

from services.identity.accounts.accounts import take_lock
from services.identity.accounts.backup import backup, new_file, restore
from services.identity.accounts.db import Database
from services.identity.accounts.keystore import LARGEST
from services.identity.accounts.owners import forget_owner
from services.identity.accounts.passphrase import Hashes, normal, weakness
from services.identity.accounts.tables import KEYSTORES, OWNER, PASSWORDS, SESSIONS
from services.identity.accounts.vault import Unlocker, Vault, WrongPassphrase
from services.identity.invite import DAYS, MAX_DAYS
from services.identity.owner import add_owner_commands
from services.identity.settings import IdentitySettings
from shared import logs
from shared.errors import SwarmError
from shared.settings import load, read_secret

ANSWER_S = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if it did what it says, else 1, with one line that says why."""
    logs.setup("identity", "WARNING")
    told = _parser().parse_args(arguments)
    try:
        settings = load("identity", IdentitySettings, told.set)
        run: Callable[[IdentitySettings, argparse.Namespace], str] = told.run
        print(run(settings, told))
    except SwarmError as error:
        print(error, file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as error:
        print(f"{type(error).__name__}: {error}. See the file, the disk and the permissions.", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rlswarm identity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help="override a setting")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[IdentitySettings, argparse.Namespace], str], file: bool) -> None:
        one = commands.add_parser(name)
        one.set_defaults(run=run)
        if file:
            one.add_argument("file", type=Path)
        one.add_argument("--passphrase-file", type=Path, help="holds the (present) passphrase")
        one.add_argument("--new-passphrase-file", type=Path, help="holds the passphrase to be")
        one.add_argument("--forget-key", action="store_true", help="reset-login: also lay aside a key nobody can open")

    command("backup", _backup, file=True)
    command("restore", _restore, file=True)
    command("export", export, file=True)
    command("import", import_, file=True)
    command("rotate", rotate, file=False)
    command("reset-login", reset_login, file=False)
    inviting = commands.add_parser("invite")
    inviting.set_defaults(run=invite)
    inviting.add_argument("--days", type=int, default=DAYS, help=f"for which it is good, at most {MAX_DAYS}")
    add_owner_commands(commands)
    return parser


def _backup(settings: IdentitySettings, told: argparse.Namespace) -> str:
    backup(settings.home, told.file)
    return f"{told.file}: accounts and the encrypted key. Keep the passphrase elsewhere."


def _restore(settings: IdentitySettings, told: argparse.Namespace) -> str:
    with _alone(settings):
        restore(settings.home, told.file)
    return f"restored from {told.file}; everybody has to log in again."


def export(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """Encrypted with the passphrase that opens it here."""
    passphrase = _passphrase(told.passphrase_file or settings.passphrase_file, "Passphrase of the key: ")
    with _opened(settings) as database:
        vault = _vault(settings, database)
        vault.unlock(passphrase)
        text = vault.export(passphrase)
    with new_file(told.file) as partial:
        partial.write_text(text)
    return f"{told.file}: the key of {vault.address}, encrypted with the same passphrase."


def import_(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """The key of a file; from now on what opens the household's key opens this one."""
    with told.file.open(errors="replace") as file:
        text = file.read(LARGEST + 1)
    passphrase = _passphrase(told.passphrase_file, "Passphrase of the file: ")
    with _alone(settings), _opened(settings) as database:
        vault = _vault(settings, database)
        secret = settings.passphrase()
        vault.know_file(secret)
        owner = None if secret else _owners_passphrase(settings, database, passphrase)
        address = vault.import_keystore(text, passphrase, owner)
    return f"the household's account is {address} now."


def rotate(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """Whichever of the two passphrases is given is the one that changes."""
    old = _passphrase(told.passphrase_file, "Present passphrase: ")
    new = _passphrase(told.new_passphrase_file, "New passphrase: ", twice=True)
    with _alone(settings), _opened(settings) as database:
        vault = _vault(settings, database)
        unlocker = _unlocker(vault, old)
        if unlocker == "file":
            vault.rotate(old, new, "file")
            return "the key is encrypted anew: put the new passphrase into IDENTITY_PASSPHRASE_FILE."
        with database.begin() as connection:
            name = connection.scalar(select(OWNER.c.name)) or ""
        if why := weakness(normal(new), name):
            raise SwarmError(why.rstrip("."), "choose another")
        hashed = Hashes(fast=settings.kdf == "fast").make(normal(new))
        vault.rotate(normal(old), normal(new), "passphrase", lambda connection: _log_in_with(connection, hashed))
    return "key and login have the new passphrase; everybody has to log in again."


def reset_login(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """For an owner who has lost every way to log in, and owns the machine."""
    with _alone(settings), _opened(settings) as database:
        unlockers = _vault(settings, database).unlockers()
        with database.begin() as connection:
            forget_owner(connection)
            if "file" in unlockers or told.forget_key:
                lost = [KEYSTORES.c.unlocker == "passphrase"] if "file" in unlockers else []
                connection.execute(
                    update(KEYSTORES).where(KEYSTORES.c.retired.is_(None), *lost).values(retired=time.time())
                )
    if "file" in unlockers:
        return "whoever signs up now is the owner; the key stays."
    if told.forget_key:
        return "whoever signs up now is the owner, with a new key; the former one is kept in the database, encrypted."
    return "whoever signs up now, with the passphrase that opens the key, is the owner. Is it lost? --forget-key."


def invite(settings: IdentitySettings, told: argparse.Namespace) -> str:
    """From the running identity, which has the key open; what to know about it goes to stderr."""
    url = f"{settings.signer_url}/invite"
    token = read_secret(settings.signing_token_file, "SIGNING_TOKEN_FILE") or ""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps({"days": told.days}).encode(), headers)  # noqa: S310 - our own address
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=ANSWER_S) as answer:
            made = json.load(answer)
    except urllib.error.HTTPError as error:
        raise _refused(error, told.days) from error
    except OSError as error:
        raise SwarmError(f"identity does not answer on port {settings.signer_port}", "see that it runs") from error
    for warning in made["warnings"]:
        print(warning, file=sys.stderr)
    return str(made["invite"])


def _refused(error: urllib.error.HTTPError, days: int) -> SwarmError:
    if error.code == HTTPStatus.UNPROCESSABLE_ENTITY:
        return SwarmError(f"an invite is not good for {days} days", f"choose 1 to {MAX_DAYS}")
    told = json.load(error)
    return SwarmError(told.get("error", f"identity answers {error.code}"), told.get("remedy", "see SIGNING_TOKEN_FILE"))


def _log_in_with(connection: Connection, hashed: str) -> None:
    connection.execute(update(PASSWORDS).values(hash=hashed, changed=time.time()))
    connection.execute(delete(SESSIONS))


def _unlocker(vault: Vault, secret: str) -> Unlocker:
    """Which of the ways to open the key this passphrase is."""
    for unlocker, text in (("file", secret), ("passphrase", normal(secret))):
        if unlocker in vault.unlockers():
            with contextlib.suppress(WrongPassphrase):
                vault.unlock(text, unlocker)
                return unlocker
    raise WrongPassphrase


def _owners_passphrase(settings: IdentitySettings, database: Database, given: str) -> str:
    """What the owner logs in with, as it has to open the new key; without an owner, the file's own."""
    with database.begin() as connection:
        kept = connection.scalar(select(PASSWORDS.c.hash))
    if kept is None:
        return normal(given)
    hashes = Hashes(fast=settings.kdf == "fast")
    if hashes.fits(kept, normal(given)):
        return normal(given)
    own = normal(_passphrase(None, "Passphrase you log in with: "))
    if not hashes.fits(kept, own):
        raise WrongPassphrase
    return own


def _passphrase(file: Path | None, prompt: str, twice: bool = False) -> str:
    """From its file, or typed."""
    if found := read_secret(file, "--passphrase-file"):
        return found
    if file is not None or not sys.stdin.isatty():
        raise SwarmError(
            "there is no passphrase", "name a file that holds it with --passphrase-file, or use a terminal"
        )
    typed = getpass.getpass(prompt)
    if twice and getpass.getpass("The same again: ") != typed:
        raise SwarmError("the two differ", "try again")
    return typed


def _vault(settings: IdentitySettings, database: Database) -> Vault:
    return Vault(database, fast=settings.kdf == "fast")


@contextlib.contextmanager
def _opened(settings: IdentitySettings) -> Iterator[Database]:
    with contextlib.closing(Database(settings.home)) as database:
        yield database


@contextlib.contextmanager
def _alone(settings: IdentitySettings) -> Iterator[None]:
    """While no identity runs here."""
    lock = take_lock(settings.home)
    try:
        yield
    finally:
        os.close(lock)


if __name__ == "__main__":
    sys.exit(main())
