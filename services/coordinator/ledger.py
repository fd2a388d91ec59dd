"""Rounds without a chain: the contract's rules on this machine, in a ledger of signed transactions.

    submission --refusal--> signed, as for a contract --> one entry of ledger.db, under a seal

Each entry is the very transaction that would have gone to the contract, signed by this household's account; its seal
runs on from the seal before it. Whoever has the file sees that nothing was altered, left out or written by another
(`audit.py`). One household only: what nobody else can reach, nobody else can take part in.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from rlp import encode

from services.coordinator.abi import Interface, artifact
from services.coordinator.calls import ADVANCE, STAGES, Call, call_of
from services.coordinator.chain import (
    ChainDown,
    ChainError,
    Chapter,
    ContractMissing,
    Head,
    Landed,
    Owner,
    Place,
    Reverted,
)
from services.coordinator.entries import SUBMISSION, TABLES, columns, first_seal, sealed
from services.coordinator.refusals import Standing, following, refusal
from services.coordinator.signer import Signer
from shared.messages import Recorded, Submission

GAS = 21_000  # what a transaction must offer, and nobody takes here


class LedgerChain:
    """See `Chain`."""

    def __init__(self, path: Path, signer: Signer, artifacts: Path, chain_id: int) -> None:
        self._path, self._signer, self._chain_id = path, signer, chain_id
        self._interface = Interface(artifact(artifacts, "SwarmCoordinator")[0])
        self._contract: str | None = None
        self._known: Place | None = None
        self._one_at_a_time = asyncio.Lock()  # the clock and the submitter share the nonces
        self._db: sqlite3.Connection | None = None

    @property
    def account(self) -> str:
        """See `Chain.account`."""
        return self._signer.address

    @property
    def contract(self) -> str | None:
        """See `Chain.contract`."""
        return self._contract

    @property
    def owned(self) -> None:
        """See `Chain.owned`: nobody else reaches a ledger."""

    def use(self, contract: str) -> None:
        """See `Chain.use`."""
        self._contract, self._known = to_checksum_address(contract), None

    async def deploy(self) -> str:
        """See `Chain.deploy`: a ledger that has begun is not begun again."""
        # The address that our first contract would have: identity signs for it.
        address = keccak(encode([bytes.fromhex(self.account[2:]), 0]))[12:]
        begun = {
            "contract": to_checksum_address(address),
            "mark": secrets.token_hex(16),
            "owner": self.account,
            "round": "0",
            "stage": "0",
            "stages": "1",
        }
        with self._open() as db:
            db.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", begun.items())
        self.use(self._facts()["contract"])
        return str(self._contract)

    async def head(self) -> Head:
        """See `Chain.head`."""
        facts, known, newest = self._of_contract(), self._known, self._newest()
        forgot = known is not None and self._place(known.block) != known
        if forgot or known is None or newest.block >= known.block:
            self._known = newest
        return Head(self._chain_id, newest.block, *_where(facts), (), None, None, forgot)

    async def may_advance(self) -> bool:
        """See `Chain.may_advance`."""
        return await self.owned_by(self.account)

    async def owned_by(self, account: str) -> bool:
        """See `Chain.owned_by`."""
        return self._of_contract()["owner"].lower() == account.lower()

    async def owners(self, peers: Sequence[str]) -> list[Owner]:
        """See `Chain.owners`."""
        return [self._owner(peer) for peer in peers]

    async def voters(self, number: int) -> frozenset[str]:
        """See `Chain.voters`."""
        return self._peers("kind = 'winners' AND round = ?", number)

    async def rewarded(self, number: int, stage: int) -> frozenset[str]:
        """See `Chain.rewarded`."""
        return self._peers("kind = 'reward' AND round = ? AND stage = ?", number, stage)

    async def holds(self, submissions: Sequence[Submission]) -> list[bool]:
        """See `Chain.holds`."""
        return [self._owner(one.peer_id) == "us" and self._landed(one) is not None for one in submissions]

    async def find(self, submissions: Sequence[Submission]) -> list[Landed]:
        """See `Chain.find`."""
        return [self._landed(one) or Landed(None, None) for one in submissions]

    async def history(self, since: Place | None, blocks: int) -> Chapter | None:
        """See `Chain.history`."""
        self._of_contract()
        if since is not None and self._place(since.block) != since:
            return None
        newest, first = self._newest(), since.block + 1 if since else 0
        last = self._place(min(newest.block, first + blocks - 1)) or newest
        rows = self._rows(
            "SELECT message, account, hash, block FROM entries WHERE key IS NOT NULL AND block BETWEEN ? AND ?",
            first,
            last.block,
        )
        found = tuple(
            Recorded(submission=SUBMISSION.validate_json(message), account=account.lower(), transaction=tx, block=block)
            for message, account, tx, block in rows
        )
        return Chapter(found, 0, last, complete=last == newest)

    async def submit(self, submissions: Sequence[Submission]) -> list[Landed | Reverted]:
        """See `Chain.submit`."""
        async with self._one_at_a_time:
            refused = [self._refusal(one) for one in submissions]
            going = [one for one, error in zip(submissions, refused, strict=True) if not error]
            landed = iter(await self._write([(call_of(one), one) for one in going]))
        return [Reverted(error) if error else next(landed) for error in refused]

    async def set_stages(self, count: int) -> None:
        """See `Chain.set_stages`."""
        if not await self.may_advance():
            raise ChainError("this account may not set the stages (OnlyOwner)", "set no ROUND_STAGES")
        async with self._one_at_a_time:
            await self._write([(Call(STAGES, (count,)), None)], {"stages": count})

    async def set_bootnodes(self, addresses: Sequence[str]) -> None:
        """See `Chain.set_bootnodes`: here nobody else would read them."""
        raise ChainError(f"a ledger keeps no bootnodes, and {len(addresses)} were given", "use a chain: CHAIN_URL")

    async def set_clock(self, stage_s: int) -> None:
        """See `Chain.set_clock`: here nobody else would end a stage."""
        raise ChainError(f"a ledger has no clock that could be set to {stage_s} s", "use a chain: CHAIN_URL")

    async def advance_if_due(self) -> bool:
        """See `Chain.advance_if_due`."""
        return False

    async def advance(self) -> None:
        """See `Chain.advance`."""
        if not await self.may_advance():
            raise ChainError("this account may not advance rounds (OnlyStageManager)", "set LEAD_ROUNDS=no")
        async with self._one_at_a_time:
            number, stage = following(*_where(self._of_contract()))
            await self._write([(Call(ADVANCE, ()), None)], {"round": number, "stage": stage})

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    # ---- inside ----

    async def _write(
        self, calls: Sequence[tuple[Call, Submission | None]], facts: dict[str, int] | None = None
    ) -> list[Landed]:
        """Sign and add the entries, all or none, and what they change. Raises ChainError."""
        if not calls:
            return []
        place, landed = self._newest(), list[Landed]()
        data = [self._interface.call(call.signature, call.arguments) for call, _ in calls]
        signed = await self._signer.sign([self._filled(place.block + k, one) for k, one in enumerate(data)])
        with self._open() as db:
            for (_, submission), one in zip(calls, signed, strict=True):
                place = Place(place.block + 1, sealed(place.hash, one.hash))
                row = (place.block, place.hash, one.hash, one.raw, self.account, *columns(submission))
                db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                landed.append(Landed(one.hash, place.block))
            changed = [(str(value), name) for name, value in (facts or {}).items()]
            db.executemany("UPDATE facts SET value = ? WHERE name = ?", changed)
        self._known = place
        return landed

    def _filled(self, nonce: int, data: str) -> dict[str, Any]:
        shared = {"gas": GAS, "gasPrice": 0, "value": 0, "chainId": self._chain_id}
        return {"to": self._of_contract()["contract"], "nonce": nonce, "data": data, **shared}

    def _refusal(self, submission: Submission) -> str:
        there = self._landed(submission) is not None
        return refusal(submission, Standing(*_where(self._of_contract()), self._owner(submission.peer_id), there))

    def _owner(self, peer: str) -> Owner:
        self._of_contract()
        rows = self._rows("SELECT account FROM entries WHERE kind = 'registration' AND peer = ?", peer)
        return "nobody" if not rows else "us" if rows[0][0] == self.account else "stranger"

    def _landed(self, submission: Submission) -> Landed | None:
        rows = self._rows("SELECT hash, block FROM entries WHERE key = ?", submission.key)
        return Landed(*rows[0]) if rows else None

    def _peers(self, where: str, *values: int) -> frozenset[str]:
        self._of_contract()
        return frozenset(peer for (peer,) in self._rows(f"SELECT peer FROM entries WHERE {where}", *values))  # noqa: S608 - the conditions stand above

    def _newest(self) -> Place:
        rows = self._rows("SELECT block, seal FROM entries ORDER BY block DESC LIMIT 1")
        return Place(*rows[0]) if rows else self._place(0) or Place(0, "")

    def _place(self, block: int) -> Place | None:
        if block == 0:
            facts = self._facts()
            return Place(0, first_seal(facts["contract"], facts["mark"])) if facts else None
        rows = self._rows("SELECT block, seal FROM entries WHERE block = ?", block)
        return Place(*rows[0]) if rows else None

    def _of_contract(self) -> dict[str, str]:
        """The facts of the contract in use. Raises ContractMissing."""
        facts = self._facts()
        if self._contract is None or facts.get("contract") != self._contract:
            raise ContractMissing(
                f"there is no contract at {self._contract} in this machine's ledger", "unset SWARM_CONTRACT"
            )
        return facts

    def _facts(self) -> dict[str, str]:
        return dict(self._rows("SELECT name, value FROM facts"))

    def _rows(self, question: str, *values: Any) -> list[Any]:
        with self._open() as db:
            return db.execute(question, values).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One SQL transaction. Raises ChainDown."""
        try:
            if self._db is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(self._path, timeout=5)
                self._db.executescript(f"PRAGMA synchronous=FULL; {TABLES}")
            with self._db:
                yield self._db
        except (OSError, sqlite3.Error) as error:
            self.close()
            cause = f"the ledger {self._path} cannot be used ({error})"
            raise ChainDown(cause, "see its disk, and who else uses it") from error


def _where(facts: dict[str, str]) -> tuple[int, int, int]:
    return int(facts["round"]), int(facts["stage"]), int(facts["stages"])
