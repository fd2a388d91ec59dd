"""The debate's rules: which answers are discussed, what is asked, what is earned."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from services.trainer.games.debate import rules
from services.trainer.games.debate.record import Answers, Critique, Ref, Topic
from tests.examples import ALICE, BOB, QUESTION

CAROL = "Qm" + "c" * 44
A, B, C = (Ref(author=author, place=0) for author in (ALICE, BOB, CAROL))


def said(author, *answers):
    return Answers(author=author, texts=tuple(f"<think>.</think><answer>{one}</answer>" for one in answers))


def critique(author, best, about=(A, B)):
    return Critique(author=author, about=about, text=f"{author[:4]} says", best=best)


def test_different_answers_are_discussed_everybodys_first_before_anybodys_second():
    answers = [said(ALICE, "1", "2", "3"), said(BOB, "4", "1"), said(CAROL, "5")]
    found = rules.discussed(answers, 7)
    assert {(ref.author, ref.place) for ref in found[:3]} == {(ALICE, 0), (BOB, 0), (CAROL, 0)}
    assert found[3:] == (Ref(author=ALICE, place=1),)
    assert rules.discussed(list(reversed(answers)), 7) == found


def test_equal_answers_are_one_and_a_text_without_an_answer_is_none():
    bare = Answers(author=CAROL, texts=("I do not know",))
    assert len(rules.discussed([said(ALICE, "21", " 21 "), said(BOB, "21"), bare], 3)) == 1
    assert rules.discussed([bare], 3) == (C,), "where nobody gave one, a text is discussed as it is"
    assert rules.discussed([], 3) == () == rules.discussed([Answers(author=BOB, texts=())], 3)


@given(some.lists(some.sampled_from([ALICE, BOB, CAROL]), unique=True), some.integers(0, 10**6))
def test_the_order_of_a_round_does_not_depend_on_who_came_first(authors, number):
    assert rules.in_turn(authors, number) == rules.in_turn(sorted(authors), number)


def test_what_is_asked_shows_the_answers_by_number_and_the_critiques_that_number_them_alike():
    topic = Topic(
        question=QUESTION,
        answers=(said(ALICE, "21"), said(BOB, "24")),
        critiques=(critique(ALICE, A), critique(BOB, B, about=(B, A))),
    )
    asked = rules.ask_to_criticise(topic, (A, B))
    assert asked.startswith(QUESTION.text)
    assert "[1] <think>.</think><answer>21</answer>\n[2] <think>.</think><answer>24</answer>" in asked
    critics = rules.critics(topic, (A, B), 7)
    assert critics == (ALICE,)
    assert f"- {ALICE[:4]} says" in rules.ask_to_vote(topic, (A, B), critics)
    assert "What is said" not in rules.ask_to_vote(topic, (A, B), ())


def test_a_long_text_keeps_its_beginning_and_its_end():
    short = rules.shorten("a" * 500 + "b" * 500 + "<answer>7</answer>", 100)
    assert short.startswith("aaa") and short.endswith("<answer>7</answer>") and len(short) < 110
    assert rules.shorten("short", 100) == "short"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<answer>2</answer>", 1),
        ("<answer> [1]. </answer>", 0),
        ("<answer>1</answer><answer>2</answer>", 1),
        ("<answer>0</answer>", None),
        ("<answer>3</answer>", None),
        ("<answer>the second</answer>", None),
        ("2", None),
    ],
)
def test_which_answer_a_critique_names(text, named):
    assert rules.named_best(text, 2) == named


def test_a_peer_is_one_ballot_and_the_majority_is_what_most_ballots_name():
    assert rules.best(["<answer>2</answer>", "<answer>1</answer>", "<answer>2</answer>"], (A, B)) == B
    assert rules.best(["<answer>2</answer>", "<answer>1</answer>"], (A, B)) == A
    assert rules.best(["nothing"], (A, B)) is None
    assert rules.majority([critique(ALICE, B), critique(BOB, B), critique(CAROL, A)], 7) == B
    assert rules.majority([critique(ALICE, None)], 7) is None is rules.majority([], 7)
    first = rules.in_turn([ALICE, BOB], 7)[0]
    tied = rules.majority([critique(ALICE, A), critique(BOB, B)], 7)
    assert tied == rules.majority([critique(BOB, B), critique(ALICE, A)], 7) and tied.author == first


@pytest.mark.parametrize(
    ("right", "text", "earned"),
    [
        (1.0, "<think>so</think><answer>21</answer>", 1.0),
        (1.0, "<answer>21</answer>", 0.8),
        (0.0, " <think>so</think> <answer>24</answer>\n", 0.2),
        (0.0, "", 0.0),
    ],
)
def test_an_answer_earns_correctness_and_format(right, text, earned):
    assert rules.answered(right, text) == pytest.approx(earned)


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("[1] is right, [2] is not. <answer>1</answer>", 1.0),
        ("[1] is right. <answer>1</answer>", 0.75),
        ("<answer>[1] [2]</answer>", 0.0),
        ("<answer>2</answer>", 0.5),
        ("[1] and [2] and [3]", 0.5),
    ],
)
def test_a_critique_earns_its_form_alone(text, earned):
    assert rules.criticised(text, 2) == pytest.approx(earned)


def test_a_vote_earns_the_foreseen_majority_and_the_revised_answer():
    assert rules.foreseen("<vote>2</vote><answer>21</answer>", 2) == 1
    assert rules.foreseen("<answer>2</answer>", 2) is None
    assert [rules.voted(1.0, 1, 1), rules.voted(0.0, 1, 1), rules.voted(1.0, 0, 1), rules.voted(0.4, None, None)] == [
        1.0,
        0.5,
        0.5,
        0.2,
    ]
