"""One realistic example of every message. `python -m tests.examples` writes them as the golden files."""

from __future__ import annotations

from pathlib import Path

from shared.asks import Ask, Piece
from shared.messages import (
    Attempt,
    Completion,
    Exchanged,
    Group,
    Heard,
    Judged,
    Message,
    Question,
    Recorded,
    Registration,
    Reward,
    Rollouts,
    Round,
    Sampled,
    Settled,
    Trained,
    Winners,
)
from shared.proof import Proof
from shared.wagers import Claim, Guess, Wagered

ALICE = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
BOB = "QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt"
GOLDEN = Path(__file__).parent / "unit" / "golden"

QUESTION = Question(
    text="Calculate 3 * 7.",
    answer="21",
    dataset="basic_arithmetic",
    # As the mix `easy` makes it: whoever reads it makes it again and compares.
    metadata={
        "source_dataset": "basic_arithmetic",
        "source_seed": 2,
        "source_index": 225,
        "expression": "3 * 7",
        "num_terms": 2,
        "num_digits": 1,
        "difficulty": {"num_terms": [2, 2], "num_digits": [1, 1]},
    },
)
RIGHT = Completion(text="<think> </think> <answer> 21 </answer>", finished=True)
WRONG = Completion(text="<think> </think> <answer> 24 </answer>", finished=True)
REWARD = Reward(peer_id=ALICE, round=7, stage=0, points=438)
PROOF = Proof(
    chain_id=685_685,
    contract="0x" + "ef" * 20,
    account="0x" + "cd" * 20,
    public_key="08" * 299,
    signature="5a" * 256,
)
HEARD = Heard(groups=4, informative=3, mean_reward=0.5)
GOOD = Attempt(text=RIGHT.text, reward=1.0)
BAD = Attempt(text=WRONG.text, reward=0.0)

GUESS = Guess(peer_id=ALICE, game=0, clue=1, choice=2, tokens=40, chances=(0.1, 0.0, 0.7, 0.2))
EXAMPLES: tuple[Message, ...] = (
    Round(number=7, stage=1, stages=3, opened_at=1_767_225_600.0, deadline=1_767_225_620.0),
    QUESTION,
    RIGHT,
    Group(question=QUESTION, completions=(RIGHT, WRONG)),
    Rollouts(
        peer_id=ALICE,
        round=7,
        stage=0,
        groups=(Group(question=QUESTION, completions=(RIGHT, WRONG)),),
        informative=1,
    ),
    Registration(peer_id=ALICE, proof=PROOF),
    REWARD,
    Winners(peer_id=ALICE, round=7, winners=(BOB,)),
    Settled(submission=REWARD, outcome="landed", transaction="0x" + "ab" * 32, block=12),
    Recorded(
        submission=REWARD, account="0x" + "cd" * 20, transaction="0x" + "ab" * 32, block=12, swarm="685685:0xef:1"
    ),
    HEARD,
    GOOD,
    Trained(
        at=1_767_225_610.5,
        peer_id=ALICE,
        round=7,
        stage=0,
        mean_reward=0.4375,
        loss=-0.01,
        gradient_norm=0.8,
        changed=0.97,
        local_groups=4,
        external_groups=4,
        completion_tokens=960,
        seconds={"generate": 0.2, "exchange": 1.1, "update": 0.3, "checkpoint": 0.05},
        seen_peers=2,
        datasets=("basic_arithmetic", "basic_arithmetic"),
        rewards=((1.0, 0.0), (0.25, 0.5)),
        heard={BOB: HEARD},
        weights="5e" * 32,
        parent="4d" * 32,
    ),
    Sampled(
        at=1_767_225_610.5,
        peer_id=ALICE,
        author=BOB,
        round=7,
        dataset="basic_arithmetic",
        question=QUESTION.text,
        answer="21",
        attempts=(GOOD, BAD),
    ),
    Judged(at=1_767_225_611.0, peer_id=ALICE, round=7, score=1.0),
    Exchanged(at=1_767_225_612.0, round=7, bytes_sent=81_920, bytes_received=40_960, accepted=2, rejected={"late": 1}),
    Ask(id="0f" * 16, at=1_767_225_613.0, question="What is 3 * 7?"),
    Piece(ask="0f" * 16, place=0, peer_id=ALICE, round=7, text="<think> 3 * 7", done=False),
    GUESS,
    Claim(peer_id=ALICE, game=0),
    Wagered(wager=GUESS, outcome="landed", transaction="0x" + "3c" * 32),
)


def main() -> None:
    """Write the golden files."""
    GOLDEN.mkdir(exist_ok=True)
    for example in EXAMPLES:
        (GOLDEN / f"{type(example).__name__}.json").write_text(example.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
