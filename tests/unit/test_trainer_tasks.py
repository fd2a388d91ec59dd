import json

import pytest

from services.trainer.games.game import SCORING_S, in_time
from services.trainer.games.tasks import Tasks
from services.trainer.settings import TrainerSettings
from shared.errors import SettingsError
from shared.messages import Question
from shared.settings import load
from shared.tasks import Mix, TaskSet


def tasks_of(mix, seed=42):
    return Tasks(load("trainer", TrainerSettings, [f"data={mix}"]).data, seed)


@pytest.mark.parametrize("mix", ["easy", "six", "nine"])
def test_every_question_is_scored_the_same_after_the_wire(mix):
    tasks = tasks_of(mix)
    seen = set()
    for number in range(80):
        question = tasks.question(number)
        seen.add(question.dataset)
        again = Question.model_validate_json(question.model_dump_json())
        answer = question.answer if question.answer is not None else question.metadata["example_answer"]
        for text in (answer, "7", "no idea"):
            completion = f"<think> hm </think> <answer>{text}</answer>"
            assert tasks.score(question, completion) == tasks.score(again, completion)
        assert tasks.score(question, f"<answer>{answer}</answer>") == 1.0
    assert seen == tasks.names


def test_peers_have_their_own_questions_and_each_question_its_number():
    one, other = tasks_of("easy", 2), tasks_of("easy", 2_000_000)
    assert [one.question(k) for k in range(20)] == [one.question(k) for k in range(20)]
    assert {one.question(k).text for k in range(20)} != {other.question(k).text for k in range(20)}


def test_an_answer_counts_only_between_its_tags():
    tasks = tasks_of("easy")
    question = next(q for q in map(tasks.question, range(100)) if q.dataset == "basic_arithmetic")
    assert tasks.score(question, question.answer) == 0.0
    assert tasks.score(question, f"<answer>{question.answer}") == 0.0
    assert tasks.score(question, f"<answer>wrong</answer> <answer> {question.answer} </answer>") == 1.0


@pytest.mark.parametrize(
    "metadata", [{}, {"source_dataset": 7}, {"numerator": "x"}, {"variables": [[[]]]}, {"example_answer": None}]
)
@pytest.mark.parametrize("mix", ["easy", "six", "nine"])
def test_hostile_metadata_scores_and_does_not_raise(mix, metadata):
    tasks = tasks_of(mix)
    for name in tasks.names:
        question = Question(text="?", answer=None, dataset=name, metadata=metadata)
        for answer in ("", "1/0", "9" * 5_000, "\x00", "(((((", "nan", "inf"):
            assert 0.0 <= tasks.score(question, f"<answer>{answer}</answer>") <= 1.0


def test_a_stranger_cannot_choose_the_scorer():
    tasks = tasks_of("easy")
    question = Question(text="?", answer="1", dataset="bf", metadata={"source_dataset": "bf"})
    assert not tasks.knows(question)
    assert tasks.score(question, "<answer>1</answer>") == 0.0


def test_an_unknown_task_in_the_mix_is_one_line():
    with pytest.raises(SettingsError, match="alchemy") as caught:
        Tasks(Mix(name="mine", datasets=(TaskSet(name="alchemy", weight=1),)), 1)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError, match="mine"):
        Tasks(Mix(name="mine", datasets=(TaskSet(name="lcm", weight=1, config={"colour": 1}),)), 1)


def test_metadata_is_plain_json():
    question = tasks_of("nine").question(3)
    assert json.loads(json.dumps(question.metadata)) == question.metadata


def test_an_answer_far_longer_than_any_right_one_is_not_read():
    tasks = tasks_of("six")
    puzzles = (question for number in range(300) if (question := tasks.question(number)).answer is None)
    puzzle = next(puzzles)
    clause = f"({puzzle.metadata['example_answer']})"
    short, long = (f"<answer>{' ∧ '.join([clause] * count)}</answer>" for count in (3, 2_000))
    assert tasks.score(puzzle, short) > 0
    assert tasks.score(puzzle, long) == 0  # its scorer would read for minutes


def test_a_peer_whose_answers_take_long_to_score_loses_the_rest_of_them():
    groups = [f"group {number}" for number in range(10)]
    clock = iter([0.0, 0.0, 3.0, SCORING_S, SCORING_S + 0.1])
    refused = []
    assert list(in_time(groups, refused.append, lambda: next(clock))) == groups[:3]
    assert refused == ["slow"] * 7
