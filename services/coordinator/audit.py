"""Whether a ledger is whole and nobody else's: `python -m services.coordinator.audit ledger.db`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from eth_account import Account
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from rlp import decode

from services.coordinator.abi import Interface, artifact
from services.coordinator.calls import call_of
from services.coordinator.entries import SUBMISSION, first_seal, sealed
from services.coordinator.settings import ARTIFACTS
from shared.errors import SwarmError

TO, DATA, NONCE = 3, 5, 0  # places in a transaction (Ethereum yellow paper, section 4.2)
REMEDY = "compare with a copy of the file from another day"


def audit(path: Path, artifacts: Path = ARTIFACTS) -> tuple[int, frozenset[str]]:
    """How many entries a ledger has, and who signed them. Raises SwarmError at the first that is not right.

    Every entry must be signed by the account that stands beside it, in order, for the ledger's contract, say what
    stands beside it, and carry the seal that follows from the one before.
    """
    interface = Interface(artifact(artifacts, "SwarmCoordinator")[0])
    count, accounts = 0, set[str]()
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            facts = dict(db.execute("SELECT name, value FROM facts"))
            seal = first_seal(facts["contract"], facts["mark"])
            for row in db.execute("SELECT block, seal, hash, raw, account, message FROM entries ORDER BY block"):
                count += 1
                entry = Entry(*row)
                _check(entry, count, seal, facts["contract"], interface)
                seal = entry.seal
                accounts.add(entry.account)
    except (sqlite3.Error, KeyError) as error:
        cause = f"{path} cannot be read as a ledger ({error})"
        raise SwarmError(cause, "see the path, and that the run is down") from error
    return count, frozenset(accounts)


class Entry(NamedTuple):
    """A line of the ledger, see its table."""

    block: int
    seal: str
    hash: str
    raw: str
    account: str
    message: str | None


def _check(entry: Entry, number: int, before: str, contract: str, interface: Interface) -> None:
    """Raises SwarmError."""
    if entry.block != number or entry.seal != sealed(before, entry.hash):
        raise SwarmError(f"entry {number} of the ledger does not follow on the one before it", REMEDY)
    try:
        fields = decode(bytes.fromhex(entry.raw[2:]))
        signer, hash_ = Account.recover_transaction(entry.raw), "0x" + keccak(hexstr=entry.raw).hex()
        to, nonce = to_checksum_address(fields[TO]), int.from_bytes(fields[NONCE], "big")
    except Exception as error:  # whatever rlp and eth_account raise on what is no transaction
        raise SwarmError(f"entry {number} of the ledger is no transaction ({error})", REMEDY) from error
    if (signer, to, nonce, hash_) != (entry.account, contract, number - 1, entry.hash):
        raise SwarmError(f"entry {number} of the ledger is not signed for it by {entry.account}", REMEDY)
    call = call_of(SUBMISSION.validate_json(entry.message)) if entry.message else None
    if call and "0x" + fields[DATA].hex() != interface.call(call.signature, call.arguments):
        raise SwarmError(f"entry {number} of the ledger says something else than what was signed", REMEDY)


def main() -> int:
    """Audit the file that is named; exit code 1 if it is not right."""
    try:
        count, accounts = audit(Path(sys.argv[1]))
    except SwarmError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{count} entries, signed by {', '.join(sorted(accounts)) or 'nobody yet'}, each sealed on the one before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
