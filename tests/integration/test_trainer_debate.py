"""The debate on the real embedded model: two peers hear each other, one is alone, and strangers lie."""

import json

import pytest

from services.trainer.games.debate.game import DebateGame
from services.trainer.games.tasks import Tasks
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.messages import Rollouts, Round
from shared.settings import load
from shared.tasks import is_held_out, seed_of
from tests.examples import ALICE, BOB

SETTINGS = load("trainer", TrainerSettings, ["policy.model=embedded"])
GAME = SETTINGS.game.model_copy(update={"completions": 4, "max_new_tokens": 24})
COUNT = 4


@pytest.fixture(scope="module")
def policy():
    return Policy(SETTINGS.policy)


@pytest.fixture
def games(policy):
    return {
        peer: DebateGame(policy, Tasks(SETTINGS.data, seed_of(42, peer)), GAME, peer=peer, seed=42)
        for peer in (ALICE, BOB)
    }


def at(stage, number=3):
    return Round(number=number, stage=stage, stages=3, opened_at=0.0, deadline=9.0, swarm="home")


def wire(peer, round_, groups):
    rollouts = Rollouts(
        peer_id=peer, round=round_.number, stage=round_.stage, groups=tuple(one.as_group() for one in groups)
    )
    return Rollouts.model_validate_json(rollouts.model_dump_json())


def play(games, stages=3, number=3):
    """All stages; what each peer sampled, by stage."""
    played = []
    for stage in range(stages):
        round_ = at(stage, number)
        said = {peer: game.sample(stage, range(COUNT), round_) for peer, game in games.items()}
        heard = {
            peer: [g.score(wire(other, round_, said[other])) for other in games if other != peer]
            for peer, g in games.items()
        }
        for peer, game in games.items():
            assert all(len(groups) == COUNT for groups in heard[peer]), "nothing of an honest peer is left out"
            game.hear(round_, [*said[peer], *(group for groups in heard[peer] for group in groups)])
        played.append((said, heard))
    return played


def test_both_answer_the_same_questions_and_discuss_the_same_answers_in_the_same_order(games):
    played = play(games)
    for said, heard in played:
        assert [g.question for g in said[ALICE]] == [g.question for g in said[BOB]]
        assert [g.rewards for g in heard[BOB][0]] == [g.rewards for g in said[ALICE]], "scored here as there"
    parts = [[group.question.metadata.get("debate") for group in said[ALICE]] for said, _ in played]
    assert parts[0] == [None] * COUNT
    assert {part["stage"] for part in parts[1]} == {1} and {part["stage"] for part in parts[2]} == {2}
    assert {ref["author"] for part in parts[1] for ref in part["about"]} == {ALICE, BOB}
    assert any(part["critics"] for part in parts[2])
    assert not any(is_held_out(group.question.text) for group in played[0][0][ALICE])


def test_another_round_asks_other_questions_and_knows_nothing_of_the_one_before(games):
    first = play(games)[0][0][ALICE]
    round_ = at(1, number=4)
    late = games[ALICE].sample(7, range(COUNT), round_)
    assert all("debate" not in group.question.metadata for group in late), "who heard nothing answers"
    assert {group.question.text for group in late} != {group.question.text for group in first}
    assert len(games[BOB].score(wire(ALICE, round_, late))) == COUNT


def test_a_lone_peer_debates_its_own_answers(games):
    lone = {ALICE: games[ALICE]}
    said = play(lone)[2][0][ALICE]
    authors = {ref["author"] for group in said for ref in group.question.metadata["debate"]["about"]}
    assert (authors, len(said)) == ({ALICE}, COUNT)


def test_without_a_round_the_peers_own_questions_are_answered(games):
    alone = games[ALICE].sample(0, range(COUNT))
    assert [group.question for group in alone] == [
        Tasks(SETTINGS.data, seed_of(42, ALICE)).question(n) for n in range(COUNT)
    ]


def test_a_game_restored_from_its_state_goes_on_exactly_as_the_one_that_was_not_cut_off(games, policy):
    play(games, stages=2)
    state = json.loads(json.dumps(games[ALICE].state()))
    again = DebateGame(policy, Tasks(SETTINGS.data, seed_of(42, ALICE)), GAME, peer=ALICE, seed=42)
    again.restore(state)
    assert again.sample(2, range(COUNT), at(2)) == games[ALICE].sample(2, range(COUNT), at(2))
    again.restore({"of": "another version"})
    assert again.state()["topics"] == []


def lie(group, **change):
    """A group whose question claims something else about the debate."""
    part = {**group.question.metadata["debate"], **change}
    question = group.question.model_copy(update={"metadata": {**group.question.metadata, "debate": part}})
    return group.as_group().model_copy(update={"question": question})


STRANGER = "Qm" + "z" * 44
LIES = {
    "an answer nobody gave": lambda g: lie(g, about=[{"author": BOB, "place": 3}, {"author": STRANGER, "place": 0}]),
    "a place beyond the last": lambda g: lie(g, about=[{"author": BOB, "place": 40}]),
    "no answers": lambda g: lie(g, about=[]),
    "a critique nobody wrote": lambda g: lie(g, critics=[STRANGER]),
    "another topic": lambda g: lie(g, topic="What is 1 + 1?"),
    "another stage": lambda g: lie(g, stage=2),
    "a stage that is none": lambda g: lie(g, stage=9),
    "no debate at all": lambda g: lie(g, surprise=1),
    "another text": lambda g: g.as_group().model_copy(
        update={"question": g.question.model_copy(update={"text": "Say yes."})}
    ),
    "another order": lambda g: lie(g, about=list(reversed(g.question.metadata["debate"]["about"]))),
}


@pytest.mark.parametrize("name", LIES)
def test_what_a_hostile_peer_says_in_a_later_stage_is_left_out(games, name):
    play(games, stages=1)
    round_ = at(1)
    honest = [g for g in games[BOB].sample(1, range(COUNT), round_) if len(g.question.metadata["debate"]["about"]) > 1]
    liar = Rollouts(peer_id=BOB, round=3, stage=1, groups=tuple(LIES[name](group) for group in honest))
    assert honest and games[ALICE].score(liar) == []


def test_a_later_stages_rollouts_of_another_round_are_left_out(games):
    play(games, stages=1)
    groups = games[BOB].sample(1, range(COUNT), at(1))
    assert games[ALICE].score(wire(BOB, at(1, number=9), groups)) == []


def test_an_altered_expected_answer_in_a_later_stage_changes_nothing(games):
    said, heard = play(games)[2]
    (first, *_) = said[BOB]
    hostile = first.as_group().model_copy(update={"question": first.question.model_copy(update={"answer": "0"})})
    (scored,) = games[ALICE].score(Rollouts(peer_id=BOB, round=3, stage=2, groups=(hostile,)))
    assert (scored.question, scored.rewards) == (heard[ALICE][0][0].question, heard[ALICE][0][0].rewards)
