"""Whose rollouts are whose, who gets how many bytes, and what the trainers' findings count."""

from __future__ import annotations

import time

import pytest

from services.p2p.trust import originals as module
from services.p2p.trust.budget import MAX_ASKERS, WINDOW_S, Budget
from services.p2p.trust.offence import Offence
from services.p2p.trust.originals import Originals
from services.p2p.trust.reputation import Reputation
from services.p2p.trust.verdicts import MAX_TAKEN, Verdicts, offence
from shared.health import Health
from shared.messages import Completion, Group, Heard, Question, Rollouts
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.tasks import DEBATE_SEED, seed_of
from tests.examples import ALICE, BOB, EXAMPLES

CAROL = "Qm" + "c" * 44
SEED = 42


def rollouts_of(peer: str, *seeds: int | None, texts: tuple[str, ...] = ("a", "b"), marks: str = "") -> Rollouts:
    """A group for each seed that its question names."""
    groups = []
    for place, seed in enumerate(seeds):
        metadata = {"source_index": place, "mark": marks} | ({} if seed is None else {"source_seed": seed})
        question = Question(text=f"question {place}", answer="1", dataset="chain_sum", metadata=metadata)
        completions = tuple(Completion(text=text, finished=True) for text in texts)
        groups.append(Group(question=question, completions=completions))
    return Rollouts(peer_id=peer, round=1, stage=0, groups=tuple(groups))


def own(peer: str) -> int:
    return seed_of(SEED, peer)


def test_a_peers_own_questions_are_its_own_whoever_sends_them_first():
    originals = Originals(SEED)
    originals.know(ALICE)
    theft = rollouts_of(BOB, *[own(ALICE)] * 4)
    assert originals.judge(theft) == "copied"
    assert originals.judge(rollouts_of(ALICE, *[own(ALICE)] * 4)) == "original"
    assert originals.judge(theft) == "copied"
    assert originals.judge(rollouts_of(BOB, *[own(BOB)] * 4)) == "original"


def test_a_peer_that_is_not_known_yet_is_believed_and_its_heir_is_not():
    originals = Originals(SEED)
    assert originals.judge(rollouts_of(BOB, *[own(ALICE)] * 4)) == "original"
    assert originals.judge(rollouts_of(ALICE, *[own(ALICE)] * 4)) == "original"
    assert originals.judge(rollouts_of(BOB, *[own(ALICE)] * 4)) == "copied"


def test_half_of_the_groups_make_a_copy_and_less_do_not():
    originals = Originals(SEED)
    originals.know(ALICE)
    assert originals.judge(rollouts_of(BOB, own(ALICE), own(BOB), own(BOB))) == "original"
    assert originals.judge(rollouts_of(BOB, own(ALICE), own(ALICE), own(BOB), own(BOB))) == "copied"


@pytest.mark.parametrize("seeds", [(7, 7), (None, None)])  # a peer of another SEED; a question that names none
def test_what_says_not_whose_it_is_belongs_to_nobody_but_counts_once(seeds):
    originals = Originals(SEED)
    assert originals.judge(rollouts_of(ALICE, *seeds)) == "original"
    assert originals.judge(rollouts_of(ALICE, *seeds)) == "original"  # its own again
    assert originals.judge(rollouts_of(BOB, *seeds, marks="other metadata")) == "repeated"
    assert originals.judge(rollouts_of(BOB, *seeds, texts=("a", "c"))) == "original"


def test_the_same_answers_to_questions_that_everybody_is_asked_are_no_copy():
    originals = Originals(SEED)
    for peer in (ALICE, BOB, CAROL):
        assert originals.judge(rollouts_of(peer, *[DEBATE_SEED] * 4, texts=("4", "4"))) == "original"


def test_two_peers_that_read_the_same_file_may_answer_alike():
    originals = Originals(SEED)  # a file's questions name the seed of the peer that asks, too
    for peer in (ALICE, BOB):
        assert originals.judge(rollouts_of(peer, own(peer), own(peer), texts=("4", "4"))) == "original"


def test_what_is_known_of_peers_and_groups_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    monkeypatch.setattr(module, "MAX_GROUPS_KNOWN", 2)
    originals = Originals(SEED)
    for peer in (ALICE, ALICE, BOB, CAROL):
        originals.judge(rollouts_of(peer, None, None, None, texts=(peer,)))
    assert len(originals._peers) == len(originals._owners) == len(originals._authors) == 2
    assert originals.judge(rollouts_of(BOB, own(ALICE))) == "original"  # Alice is forgotten


def test_everybody_gets_so_many_bytes_a_minute_and_all_together_too():
    budget = Budget(each=100, total=250)
    assert [budget.take(ALICE, 60, at) for at in (0.0, 1.0)] == [True, False]
    assert budget.take(ALICE, 40, 2.0)
    assert budget.take(BOB, 100, 3.0)
    assert not budget.take(CAROL, 60, 4.0)
    assert budget.take(CAROL, 50, 4.0)
    assert budget.take(CAROL, 100, WINDOW_S)


def test_a_crowd_of_askers_fills_no_memory():
    budget = Budget(each=100, total=10**9)
    given = sum(budget.take(str(number), 1, 0.0) for number in range(2 * MAX_ASKERS))
    assert given == len(budget._given) == MAX_ASKERS
    assert budget.take("0", 1, 1.0)


def heard(groups: int, informative: int = 0, **refused: int) -> Heard:
    return Heard(groups=groups, informative=informative, mean_reward=0.0, refused=refused)


@pytest.mark.parametrize(
    ("found", "claimed", "wrong"),
    [
        (heard(8, 4), 4, None),
        (heard(8, 4), 6, None),  # scorers may differ a little
        (heard(8, 4), 7, (Offence.OVERSTATED, 3 / 8)),
        (heard(6, 4, altered=1, held_out=1), 8, (Offence.FORGED, 2 / 8)),
        (heard(0, 0, wrong_stage=4), 4, (Offence.FORGED, 1.0)),
        (heard(2, 0, unknown_set=1, unproven=1), 0, (Offence.FOREIGN, 0.5)),
        (heard(2, 0, unknown_set=1, altered=1), 0, (Offence.FORGED, 0.25)),
        (heard(5, 0, unknown_answer=3), 4, None),  # who heard what is nobody's fault
        (heard(0, 0), 0, None),
    ],
)
def test_a_finding_counts_by_how_much_of_what_was_sent_is_wrong(found, claimed, wrong):
    assert offence(found, claimed) == wrong


def verdicts_of() -> tuple[Verdicts, Reputation]:
    reputation = Reputation(budget=3, half_life_s=600)
    context = Context(MemoryQueue(), MemoryStore(), Health("p2p", "one", 60))
    return Verdicts(context, reputation, lambda: (CAROL,), lambda: 0.0), reputation


def trained(reader: str, **found: Heard):
    example = next(one for one in EXAMPLES if type(one).__name__ == "Trained")
    return example.model_copy(update={"at": time.time(), "peer_id": reader, "round": 5, "stage": 0, "heard": found})


def test_the_first_trainers_word_on_a_peers_rollouts_stands():
    verdicts, reputation = verdicts_of()
    verdicts.expect(BOB, 5, 0, informative=0)
    for _ in range(2):
        verdicts.weigh(trained(ALICE, **{BOB: heard(0, 0, altered=8)}))
    assert reputation.weight(BOB, 0.0) == 1.0


def test_nobody_is_blamed_for_what_he_has_not_signed_nor_are_we_by_ourselves():
    verdicts, reputation = verdicts_of()
    bad = heard(0, 0, altered=8)
    verdicts.expect(CAROL, 5, 0, informative=0)
    verdicts.weigh(trained(ALICE, **{BOB: bad, CAROL: bad}))
    assert reputation.held(0.0) == frozenset()
    verdicts.expect(BOB, 5, 0, informative=8)
    verdicts.weigh(trained(ALICE, **{BOB: heard(8, 8)}))
    assert reputation.weight(BOB, 0.0) == 0.0


def test_claims_count_where_all_readers_earn_alike():
    verdicts, reputation = verdicts_of()
    for stage, weight in ((1, 0.0), (0, 0.5)):
        verdicts.expect(BOB, 5, stage, informative=8)
        verdicts.weigh(trained(ALICE, **{BOB: heard(8, 0)}).model_copy(update={"stage": stage}))
        assert reputation.weight(BOB, 0.0) == weight


def test_rollouts_that_no_trainer_looks_at_fill_no_memory():
    verdicts, _ = verdicts_of()
    for number in range(MAX_TAKEN + 10):
        verdicts.expect(BOB, number, 0, 0)
    assert len(verdicts._taken) == MAX_TAKEN
