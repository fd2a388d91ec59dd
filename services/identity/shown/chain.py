"""The chain as the coordinator last saw it, this household's submissions, and the key that signs them."""

from __future__ import annotations

import re
from typing import Any

from services.identity.live import Ledger
from services.identity.shown.around import Around
from services.identity.shown.texts import label
from shared.messages import Settled
from shared.names import name_of
from shared.streams import SUBMISSIONS

Section = Any  # JSON-able

HASH = re.compile(r"0x[0-9a-f]{64}")


def chain(ledger: Ledger, around: Around) -> Section:
    """State, refusals, latest transactions."""
    return {
        "state": around.chain.model_dump(mode="json") if around.chain else None,
        "refused": {label(reason): number for reason, number in ledger.refused.items()},
        "transactions": [_transaction(settled) for settled in reversed(ledger.transactions.values())],
        "explorer": around.explorer,
    }


def door(around: Around) -> Section:
    """Whether somebody owns this household, whether its key is open, and how much waits for that."""
    waiting = around.chain.waiting if around.chain else 0
    return {"key": around.key, "owned": around.owned, "waiting": waiting, "bound": SUBMISSIONS.bound}


def _transaction(settled: Settled) -> Section:
    submission = settled.submission.model_dump(mode="json")
    known = settled.transaction is not None and HASH.fullmatch(settled.transaction)
    return {
        "key": settled.key,
        "kind": submission["kind"],
        "name": name_of(submission["peer_id"]),
        "peer_id": submission["peer_id"],
        "round": submission.get("round"),
        "points": submission.get("points"),
        "winners": len(submission.get("winners", ())),
        "outcome": settled.outcome,
        "transaction": settled.transaction if known else None,
        "block": settled.block,
        "reason": label(settled.reason),
    }
