from collections import Counter
from dataclasses import replace
from random import Random

from services.trainer.learning.rollout import Scored
from services.trainer.report import heard, samples
from shared.messages import Completion, Round
from tests.examples import ALICE, BOB, QUESTION

CAROL = "Qm" + "c" * 44
ROUND = Round(number=7, stage=0, opened_at=0.0, deadline=20.0)


def group(author, *rewards):
    completions = tuple(Completion(text=f"{author} {index}", finished=True) for index in range(len(rewards)))
    return Scored(author, QUESTION, completions, rewards)


def test_those_from_whom_most_could_be_learnt_come_first():
    found = heard([group(BOB, 1.0, 1.0), group(CAROL, 1.0, 0.0), group(BOB, 0.1, 0.1)], {})
    assert list(found) == [CAROL, BOB]
    assert (found[BOB].groups, found[BOB].informative, found[BOB].mean_reward) == (2, 0, 0.55)
    assert heard([], {}) == {}


def test_of_very_many_peers_the_most_informative_are_told():
    peers = [f"Qm{'abcdefghjk'[n // 10]}{'abcdefghjk'[n % 10]}" + "x" * 42 for n in range(70)]
    found = heard([group(peer, 1.0, float(n < 6)) for n, peer in enumerate(peers)], {})
    assert len(found) == 64
    assert set(peers[6:]) == set(found)


def test_what_was_left_out_of_a_peers_rollouts_is_told_even_if_nothing_is_left():
    found = heard([group(CAROL, 1.0, 0.0)], {BOB: Counter(altered=3), CAROL: Counter(unknown_set=1)})
    assert list(found) == [CAROL, BOB]
    assert (found[BOB].groups, found[BOB].mean_reward, found[BOB].refused) == (0, 0.0, {"altered": 3})
    assert (found[CAROL].groups, found[CAROL].refused) == (1, {"unknown_set": 1})
    honest = [group(f"Qm{'abcdefghjk'[n // 10]}{'abcdefghjk'[n % 10]}" + "x" * 42, 1.0, 0.0) for n in range(70)]
    assert BOB in heard(honest, {BOB: Counter(altered=1)})


def test_the_first_own_group_and_one_of_a_peer_are_shown_with_four_attempts_at_most():
    local = [group(ALICE, 0.0, 0.3333333, 1.0, 0.0, 1.0), group(ALICE, 1.0, 1.0)]
    own, peers = samples(ALICE, ROUND, local, [group(BOB, 1.0)], Random(1))
    assert (own.peer_id, own.author, own.round) == (ALICE, ALICE, 7)
    assert [attempt.reward for attempt in own.attempts] == [0.0, 0.3333, 1.0, 0.0]
    assert own.attempts[1].text == f"{ALICE} 1"
    assert (peers.peer_id, peers.author, len(peers.attempts)) == (ALICE, BOB, 1)
    assert own.key != peers.key


def test_who_is_alone_shows_its_own():
    assert [one.author for one in samples(ALICE, ROUND, [group(ALICE, 1.0)], [], Random(1))] == [ALICE]


def test_a_repeated_step_shows_the_same_whoever_came_first():
    groups = [group(author, float(k), 0.5) for author in (BOB, CAROL) for k in range(5)]
    mixed = groups[5:] + groups[:5]
    for seed in range(20):
        (_, one), (_, same) = (samples(ALICE, ROUND, groups[:1], found, Random(seed)) for found in (groups, mixed))
        assert (one.author, one.attempts) == (same.author, same.attempts)


def test_texts_that_nobody_would_read_to_the_end_are_cut():
    long = Completion(text="x" * 20_000, finished=False)
    question = QUESTION.model_copy(update={"text": "y" * 20_000, "answer": None})
    _, peers = samples(ALICE, ROUND, [group(ALICE, 1.0)], [Scored(BOB, question, (long,), (0.0,))], Random(1))
    assert (len(peers.question), len(peers.attempts[0].text), peers.answer) == (3_000, 3_000, None)
    assert peers.attempts[0].text.endswith("x…")


def test_what_nobody_signed_for_is_shown_as_such_and_tells_nothing_of_the_peer_it_names():
    strange = replace(group(BOB, 0.0, 1.0), signed=False)
    assert heard([strange], {}) == {}
    assert heard([strange, group(BOB, 0.5, 0.5)], {})[BOB].groups == 1
    mine, shown = samples(ALICE, ROUND, [group(ALICE, 1.0)], [strange], Random(0))
    assert (mine.signed, shown.signed) == (True, False)
