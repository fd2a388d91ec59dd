"""Does everything to a running stack that it must survive, and looks whether it did.

    python -m benchmarks.chaos                    every fault once, then ten at random; some twenty minutes
    python -m benchmarks.chaos --only torn:redis --random 0      those named, whose rows it replaces

starts the stack of docker-compose.yml in containers, with two trainers on the embedded model, and after each fault
waits, without a helping hand, until every container is healthy, every peer has trained a further round, and the chain
has the reward of every round that was trained. It writes `benchmarks/results/chaos.json` and the table in
`docs/reliability.md`.

    recovered_seconds   from the end of the fault until all that is true
    rewards_missing     trained rounds without a reward on the chain
    rewards_doubled     rewards that the chain has more than once
    checkpoints_lost    checkpoints that were not made from the one before (hashes of the weights)

Needs root, for volumes with an end, and a container engine. Faults that cannot be done here are named.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.table import Table

from shared.queue.redis import RedisError
from tests.containers.engine import ROOT, why_not
from tests.containers.faults import Arena, Fault
from tests.containers.ledger import Audit, Books
from tests.containers.stack import Stack

RESULTS = Path(__file__).parent / "results" / "chaos.json"
DOCUMENT = ROOT / "docs" / "reliability.md"
MARKS = ("<!-- begin: chaos -->", "<!-- end: chaos -->")
TRAINERS = 2
WITHIN_S = 60.0  # the promise
GIVE_UP_S = 180.0
CALM_S = 3.0  # rounds between two faults
# What another test does with a short one: one of each kind that is quick.
SHORT = (
    "kill:redis",
    "kill:chain",
    "kill:identity",
    "kill:trainer-cpu",
    "kill:p2pd",
    "partition:inside",
    "torn:redis",
    "full:trainer",
)


class Row(TypedDict):
    """What one fault came to."""

    fault: str
    recovered_seconds: float
    rewards_missing: int
    rewards_doubled: int
    checkpoints_lost: int


def survived(row: Row) -> bool:
    """Whether the promise was kept."""
    lost = row["rewards_missing"] + row["rewards_doubled"] + row["checkpoints_lost"]
    return lost == 0 and row["recovered_seconds"] <= WITHIN_S


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[Arena, Books]]:
    """A stack that trains, on volumes that can be filled."""
    stack = Stack(folder / "rlswarm", "rlswarm-chaos")
    arena, books = Arena(stack, folder / "arena"), Books(stack)
    stack.build()
    with arena.ready():
        stack.up("--scale", f"trainer-cpu={TRAINERS}")
        stack.wait("rounds of all peers", lambda: look(books) and len(books.peers()) == TRAINERS, 180)
        yield arena, books


def look(books: Books) -> bool:
    """Read what is new, if Redis answers."""
    try:
        books.update()
    except (RedisError, OSError, RuntimeError):
        return False
    return True


def strike(arena: Arena, books: Books, fault: Fault) -> Row:
    """One fault, and what became of it."""
    look(books)
    since = len(books.order)
    fault.strike()
    over = time.monotonic()
    if fault.fresh:
        since = anew(arena.stack, books)
    audit = recovered(arena.stack, books, since, over)
    return {
        "fault": fault.name,
        "recovered_seconds": round(time.monotonic() - over, 1),
        "rewards_missing": audit.missing,
        "rewards_doubled": audit.doubled,
        "checkpoints_lost": audit.broken,
    }


def anew(stack: Stack, books: Books) -> int:
    """Wait for the first rounds of a chain that begins anew; how many rounds were trained on the one before."""
    before = books.round
    stack.wait("rounds counted from the beginning", lambda: look(books) and 0 < books.round < before, GIVE_UP_S)
    return len(books.order)


def recovered(stack: Stack, books: Books, since: int, over: float) -> Audit:
    """Wait until all is well again, or too long; the last audit."""
    after: int | None = None  # rounds known when the fault was over
    audit = Audit([], missing=-1, doubled=-1, broken=-1)
    while time.monotonic() - over < GIVE_UP_S:
        with contextlib.suppress(RedisError, OSError, RuntimeError, ValueError):
            books.update()
            after = len(books.order) if after is None else after
            trained = {one.peer_id for one in books.order[after:]}
            if trained >= books.peers() and stack.healthy():
                audit = books.audit(since)
                if audit.missing == 0:
                    break
        time.sleep(0.5)
    return audit


def chosen(faults: Sequence[Fault], only: Sequence[str], at_random: int, seed: int) -> list[Fault]:
    """The faults to do: those named or all, then some at random."""
    known = {fault.name: fault for fault in faults}
    if unknown := set(only) - set(known):
        sys.exit(f"there is no fault {', '.join(sorted(unknown))} here; there are {', '.join(known)}")
    every = [known[name] for name in only] if only else list(faults)
    lasting = [fault for fault in every if not fault.fresh]
    return every + random.Random(seed).choices(lasting, k=at_random)


def table(rows: Sequence[Row]) -> list[str]:
    """The rows in Markdown."""
    head = "| fault | recovered, s | rewards missing | rewards doubled | checkpoints lost |"
    lines = [
        f"| {row['fault']} | {row['recovered_seconds']:.0f} | {row['rewards_missing']} | {row['rewards_doubled']} "
        f"| {row['checkpoints_lost']} |"
        for row in rows
    ]
    return [head, "|---|---|---|---|---|", *lines]


def document(rows: Sequence[Row], text: str) -> str:
    """The page with its table replaced by these rows."""
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return "\n".join([before + MARKS[0], "", *table(rows), "", MARKS[1]]) + after


def merged(rows: Sequence[Row]) -> list[Row]:
    """The published rows, with those of the same faults replaced by these."""
    new = {row["fault"]: row for row in rows}
    old: list[Row] = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    kept = [new.pop(row["fault"], row) for row in old]
    return kept + list(new.values())


def publish(rows: Sequence[Row], seed: int) -> None:
    """Write the results and the page."""
    RESULTS.write_text(json.dumps({"within_seconds": WITHIN_S, "seed": seed, "rows": rows}, indent=1) + "\n")
    DOCUMENT.write_text(document(rows, DOCUMENT.read_text()))


def show(console: Console, rows: Sequence[Row]) -> None:
    """The rows in the terminal."""
    found = Table(*("fault", "recovered, s", "missing", "doubled", "lost", ""))
    for row in rows:
        values = (row["rewards_missing"], row["rewards_doubled"], row["checkpoints_lost"])
        mark = "" if survived(row) else "[red]broken[/]"
        found.add_row(row["fault"], f"{row['recovered_seconds']:.1f}", *map(str, values), mark)
    console.print(found)


def main() -> int:
    """Run the faults; 1 if one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="this one; may be repeated")
    parser.add_argument("--short", action="store_true", help=f"only {', '.join(SHORT)}; nothing is written")
    parser.add_argument("--random", type=int, default=10, metavar="N", help="then so many at random (default: 10)")
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    if (reason := why_not()) is not None:
        print(f"skipped: {reason}")
        return 0
    console, rows = Console(), list[Row]()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, running(Path(folder)) as (arena, books):
        only, at_random = (list(SHORT), 0) if told.short else (told.only, told.random)
        faults = chosen(arena.faults(), only, at_random, told.seed)
        for number, fault in enumerate(faults, 1):
            time.sleep(CALM_S)
            rows.append(strike(arena, books, fault))
            console.print(f"{number}/{len(faults)} {rows[-1]}", highlight=False)
            if not survived(rows[-1]):
                console.print(arena.stack.said(lines=40), markup=False, highlight=False)
    show(console, rows)
    if not told.short:
        publish(merged(rows) if told.only else rows, told.seed)
    return 0 if all(map(survived, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
