"""A household with three peers in a swarm of seventeen, in the words of its other services."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import Any

from shared.exams import ExamBoard, ExamRow
from shared.household import PeerNote, ServiceState, SwarmState
from shared.market import CLUE, STATE, Clue, MarketState, Placed, Played, Table, put_played, write
from shared.messages import Attempt, Recorded, Sampled, Settled, Submission
from shared.queue import Store

PEERS = [f"Qm{sha256(str(n).encode()).hexdigest().replace('0', 'x')[:44]}" for n in range(3)]
OTHERS = [f"Qm{sha256(f'other{n}'.encode()).hexdigest().replace('0', 'y')[:44]}" for n in range(14)]
PASSPHRASE = "seven blue herons over the lake"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TASKS = [
    (
        "basic_arithmetic",
        "Calculate 3 * 7.",
        "21",
        ("Three sevens are 21, so the result is <answer>21</answer>", "<answer>24</answer>", "3 * 7 = 21"),
    ),
    (
        "lcm",
        "Find the Least Common Multiple (LCM) of these numbers: 6, 10",
        "30",
        (
            "<answer>60</answer>",
            "6 = 2 * 3 and 10 = 2 * 5, so it is 2 * 3 * 5.\n<answer>30</answer>",
            "<answer>16</answer>",
        ),
    ),
    (
        "fraction_simplification",
        "Simplify the fraction 12/18 to its lowest terms. Give only the simplified fraction as your final answer.",
        "2/3",
        ("Both can be divided by 6.\n12 / 6 = 2\n18 / 6 = 3\n<answer>2/3</answer>", "<answer>6/9</answer>"),
    ),
    (
        "number_filtering",
        "Keep all numbers smaller than 52 in this list: ['59', '37', '62']\nReturn the new list in the same format.",
        "['37']",
        ("52 is larger than 37 only.\n<answer>['37']</answer>", "<answer>['59', '62']</answer>", "I would say none."),
    ),
]
DATASETS = ("basic_arithmetic", "lcm", "fraction_simplification", "number_filtering")


def exam_board() -> ExamBoard:
    """What the judge says: three peers sat exams."""
    rows = [
        ExamRow(
            user_id=peer,
            model_name="Qwen/Qwen3-0.6B",
            exams=28,
            pass_at_1=rate,
            low=rate - 0.14,
            high=rate + 0.12,
            mean_score=rate,
            fixed_exams=13 * (rate > 0.5),
            fixed_pass_at_1=0.77 if rate > 0.5 else None,
            round=140,
        )
        for peer, rate in zip(PEERS, (0.82, 0.71, 0.43), strict=True)
    ]
    return ExamBoard(bank="six", peers=3, rows=tuple(rows))


async def put_market(store: Store) -> None:
    """A prediction market: one game is on, and some are over."""
    choices, chances = ("14", "21", "24", "9"), (0.1, 0.62, 0.2, 0.08)

    def table(game: int, **changes: Any) -> Table:
        told = {"game": game, "state": "open", "choices": 4, "clues": 3, "shown": 2, "answer": None, "reveal_by": 2**40}
        return Table(**{**told, "commitment": "0x", "bets": (5, 60, 25, 0), "weights": (15, 150, 60, 0), **changes})

    def game(number: int) -> Played:
        bets = tuple(Placed(peer=peer, clue=0, choice=1, tokens=20, chances=chances) for peer in PEERS)
        ended = table(number, state="answered", answer=1 if number % 3 else 2)
        paid = {peer: 26 for peer in PEERS} if number % 3 else {}
        return Played(swarm="s", table=ended, question=TASKS[0][1], choices=choices, placed=bets, paid=paid)

    state = MarketState(
        swarm="s",
        contract=ADDRESS,
        deals=True,
        round_tokens=100,
        granted=900,
        balances=dict.fromkeys(PEERS, 120),
        game=table(12),
    )
    clue = f"{TASKS[0][1]}\nIt is not: 9"
    await write(store, STATE, state)
    await write(store, CLUE, Clue(game_id=12, clue_id=1, rounds_remaining=2, clue=clue, choices=choices))
    await put_played(store, [game(number) for number in range(12)])


def notes() -> list[PeerNote]:
    """What p2p knows: most are well, one was put into quarantine."""
    bad = {"bad_signature": 41, "schema": 3}
    return [
        *(
            PeerNote(peer_id=peer, round=140, accepted=90 + n, rejected={}, quarantined=False)
            for n, peer in enumerate(OTHERS[:9])
        ),
        PeerNote(peer_id=OTHERS[9], round=139, accepted=12, rejected={"late": 2}, quarantined=False, reason="late"),
        PeerNote(
            peer_id=OTHERS[12], round=131, accepted=0, rejected=bad, quarantined=True, reason="rubbish", until=2e9
        ),
    ]


def swarm(number: int, **changes: Any) -> SwarmState:
    """The chain in a round."""
    told: dict[str, Any] = {
        "chain_id": 685685,
        "contract": "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "account": ADDRESS,
        "block": 20_411 + 3 * number,
        "round": number,
        "stage": 0,
        "registered_peers": 3,
        "rewards_settled": 3 * number,
        "winners_settled": number,
        "finished": False,
    }
    return SwarmState(**{**told, **changes})


def sampled(
    reader: str, author: str, number: int, dataset: str, question: str, answer: str | None, attempts: list[Attempt]
) -> Sampled:
    """A group for people to read."""
    return Sampled(
        at=time.time() - 3,
        peer_id=reader,
        author=author,
        round=number,
        dataset=dataset,
        question=question,
        answer=answer,
        attempts=tuple(attempts),
    )


def state(service: str, instance: str, degraded: dict[str, str], *, starts: int = 1, **facts: Any) -> ServiceState:
    """A service's report."""
    return ServiceState(
        service=service,
        instance=instance,
        pid=1,
        port=1,
        at=time.time(),
        status="degraded" if degraded else "ok",
        progress_age_s=0.1,
        degraded=degraded,
        facts=facts,
        starts=starts,
        memory_mib=2_913.4,
    )


def transaction(submission: Submission) -> str:
    """Its hash."""
    return "0x" + sha256(submission.key.encode()).hexdigest()


def landed(submission: Submission, number: int) -> Settled:
    """It is on the chain."""
    return Settled(
        submission=submission, outcome="landed", transaction=transaction(submission), block=20_400 + 3 * number
    )


def recorded(submission: Submission, number: int) -> Recorded:
    """As the chain has it."""
    account = "0x" + sha256(submission.peer_id.encode()).hexdigest()[:40]
    return Recorded(
        submission=submission, account=account, transaction=transaction(submission), block=20_400 + 3 * number
    )
