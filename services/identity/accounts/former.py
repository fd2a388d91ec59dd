"""The key that versions before this one kept in a file of the coordinator, in the clear."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from services.identity.accounts.keystore import VaultError

log = logging.getLogger(__name__)

KEY = re.compile(r"0x[0-9a-fA-F]{64}")


def former_key(path: Path | None) -> LocalAccount | None:
    """It, if the file is there. Raises VaultError if it holds something else."""
    if path is None or not path.exists():
        return None
    text = path.read_text().strip()
    if not KEY.fullmatch(text):
        raise VaultError(f"{path} holds no account key", "restore it from a backup, or move it away")
    log.info("the key in %s becomes the household's; the file is no longer read", path)
    account: LocalAccount = Account.from_key(text)
    return account


def lay_aside(path: Path | None, address: str | None) -> None:
    """The file whose key is the household's by now is no longer read by anybody."""
    if path is None or address is None or not path.exists():
        return
    text = path.read_text().strip()
    if KEY.fullmatch(text) and Account.from_key(text).address == address:
        path.rename(path.with_name(path.name + ".adopted"))
