"""Which question is for training and which for evaluation, and questions in files."""

import http.server
import json
import re
import sys
import threading
from itertools import islice, pairwise
from pathlib import Path

import pytest
import reasoning_gym
from hypothesis import given
from hypothesis import strategies as some
from reasoning_gym.composite import CompositeConfig, CompositeDataset, DatasetSpec
from reasoning_gym.dataset import ReseedingDataset

from services.trainer.games.tasks import Tasks
from services.trainer.settings import TrainerSettings
from shared.errors import SettingsError
from shared.messages import Question
from shared.question_files import QuestionFile, fetched, read, scorer_of
from shared.settings import load
from shared.tasks import ITEMS, SCORED, Deck, Mix, TaskSet, cache_of, is_held_out, is_scorable


def mix_of(name):
    return load("trainer", TrainerSettings, [f"data={name}"]).data


def made(task, seed):
    return reasoning_gym.create_dataset(task.name, seed=seed, **{"size": ITEMS, **task.config})


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Mix(name="mine", datasets=(TaskSet(name="mine", weight=1, file=str(path), scorer="number"),))


@pytest.mark.parametrize("mix", ["easy", "six", "nine", "gsm"])
def test_no_question_that_is_really_drawn_is_on_both_sides(mix):
    decks = [Deck(mix_of(mix), seed, made) for seed in (2, 4242, 10**9)]
    count = 1_500 if mix == "easy" else 150
    learnt = {" ".join(deck.training(n)["question"].casefold().split()) for deck in decks for n in range(count)}
    asked = {" ".join(decks[0].held_out(n)["question"].casefold().split()) for n in range(count // 10)}
    assert len(learnt) > count / 2 and len(asked) > 10
    assert learnt.isdisjoint(asked)


def test_two_generators_that_ask_the_same_agree_on_which_side_it_is():
    small = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
    one = Deck(Mix(name="a", datasets=(TaskSet(name="chain_sum", weight=1, config=small),)), 2, made)
    other = Deck(Mix(name="b", datasets=(TaskSet(name="chain_sum", weight=3, config=small),)), 77, made)
    learnt = {one.training(n)["question"] for n in range(900)}
    asked = {other.held_out(n)["question"] for n in range(90)}
    everything = {one.item(n)["question"] for n in range(4_000)}
    assert len(learnt & {other.training(n)["question"] for n in range(900)}) > 50, "there are few, so many are the same"
    assert learnt.isdisjoint(asked) and asked <= everything


@given(some.text(max_size=60), some.sampled_from([" ", "\t", "\n", "  "]))
def test_case_and_white_space_do_not_take_a_text_to_the_other_side(text, space):
    once = text.casefold()
    assert is_held_out(text) == is_held_out(space + text + space) == is_held_out(once)
    assert is_held_out("\ud800") in (True, False)


def test_about_one_text_in_ten_is_held_out():
    assert 0.08 < sum(is_held_out(f"What is {n}?") for n in range(5_000)) / 5_000 < 0.12


def test_the_lines_of_a_file_are_split_and_a_text_that_stands_there_twice_is_on_one_side(tmp_path):
    rows = [{"question": f"How much is {n} and 1?", "answer": n + 1, "level": n % 3} for n in range(200)] * 2
    tasks = Tasks(lines(tmp_path / "mine.jsonl", [*rows, {"question": " how MUCH is 7 and 1? ", "answer": 8}]), 2)
    learnt = {tasks.question(n).text for n in range(1_500)}
    asked = {tasks.held_out(n, "mine").text for n in range(200)}
    assert len(learnt) > 150 and len(asked) > 8
    assert {text.casefold().strip() for text in learnt}.isdisjoint(text.casefold().strip() for text in asked)
    question = tasks.question(5)
    assert question.metadata["level"] in (0, 1, 2)
    assert tasks.score(question, f"<answer>it is {question.answer}.0</answer>") == 1.0
    assert tasks.score(question, "<answer>none</answer>") == 0.0


def test_a_mix_that_has_no_question_for_one_side_says_so(tmp_path):
    taught = next(f"Q{n}" for n in range(100) if not is_held_out(f"Q{n}"))
    tasks = Tasks(lines(tmp_path / "one.jsonl", [{"question": taught, "answer": "1"}]), 2)
    assert tasks.question(3).text == taught
    with pytest.raises(SettingsError, match="no question for evaluation"):
        tasks.held_out(0, "mine")


def test_two_sets_of_one_name_and_an_unknown_generator_are_refused():
    with pytest.raises(ValueError, match="same name"):
        Mix(name="twice", datasets=(TaskSet(name="lcm", weight=1), TaskSet(name="lcm", weight=2)))
    with pytest.raises(SettingsError, match=r"config/data/odd\.yaml"):
        Deck(Mix(name="odd", datasets=(TaskSet(name="alchemy", weight=1),)), 2, made)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no question in"),
        ("not json\n", "cannot be read"),
        ('{"question": 7, "answer": "7"}\n', "question 1 is no"),
        ('{"question": "Q", "answer": "1"}\n\n[1]\n', "question 2 is no"),
        ('{"question": "Q"}\n', "question 1 is no"),
        ('{"question": " ", "answer": "1"}\n', "question 1 is empty"),
    ],
)
def test_a_file_that_is_wrong_is_one_line_that_says_where(tmp_path, text, cause):
    (tmp_path / "wrong.jsonl").write_text(text)
    with pytest.raises(SettingsError, match=cause):
        read(str(tmp_path / "wrong.jsonl"), tmp_path)


def test_a_missing_file_and_an_unknown_scorer_name_the_setting(tmp_path):
    with pytest.raises(SettingsError, match="DATA_FILE"):
        read(str(tmp_path / "nowhere.jsonl"), tmp_path)
    with pytest.raises(SettingsError, match="DATA_SCORER"):
        scorer_of("taste")


def test_a_parquet_file_is_read_where_pyarrow_is_installed_and_else_the_remedy_is_named(tmp_path, monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(SettingsError, match=r"rlswarm\[parquet\]"):
            read(str(tmp_path / "some.parquet"), tmp_path)
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [{"question": "What is 6 x 7?", "answer": "#### 42"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "some.parquet")
    assert read(str(tmp_path / "some.parquet"), tmp_path) == ({**rows[0], "metadata": {}},)


@pytest.mark.parametrize(
    ("scorer", "answer", "expected", "worth"),
    [
        ("exact", " Forty  Two", "forty two", 1),
        ("exact", "43", "42", 0),
        ("number", "so it is $1,234.50.", "a + b = 9 #### 1234.5", 1),
        ("number", "-3", "#### 3", 0),
        ("number", "none", "7", 0),
    ],
)
def test_the_scorers_of_files(scorer, answer, expected, worth):
    assert scorer_of(scorer)(answer, {"question": "?", "answer": expected, "metadata": {}}) == worth


def test_an_answer_that_is_none_is_worth_nothing(tmp_path):
    source = QuestionFile(lines(tmp_path / "q.jsonl", [{"question": "Q", "answer": "1"}]).datasets[0], 2, tmp_path)
    assert source.score_answer(None, source[0]) == 0.0
    assert len(source) == ITEMS


def test_a_url_is_fetched_once_and_kept_and_an_unreachable_one_names_the_remedy(tmp_path):
    body = b'{"question": "What is 6 x 7?", "answer": "6 * 7 = <<6*7=42>>42\\n#### 42"}\n'
    asked = []

    class Once(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Once)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/train.jsonl"
    kept = cache_of(tmp_path)
    try:
        (entry,) = read(url, kept)
        assert fetched(url, kept).read_bytes() == body
        assert asked == ["/train.jsonl"]
    finally:
        server.shutdown()
        server.server_close()
    assert scorer_of("number")("42", entry) == 1.0
    with pytest.raises(SettingsError, match="set DATA_FILE to its path"):
        read(url.replace("train", "other"), kept)


def recognised(tasks, question):
    """A peer's question as it is made here; None if nothing may be learnt from it."""
    reason, own = tasks.verdict(question)
    return None if reason else own


@pytest.mark.parametrize("mix", ["easy", "six", "nine"])
def test_a_peers_question_is_made_again_and_counts_as_it_is_made_here(mix):
    ours, theirs = Tasks(mix_of(mix), 2), Tasks(mix_of(mix), 4242)
    for number in range(30):
        question = Question.model_validate_json(theirs.question(number).model_dump_json())
        assert recognised(ours, question) == question
        hostile = question.model_copy(update={"metadata": {**question.metadata, "difficulty": "x"}})
        assert recognised(ours, hostile).metadata["difficulty"] == question.metadata["difficulty"]


def test_a_peers_question_that_was_altered_held_out_or_unknown_is_left_out():
    ours, theirs = Tasks(mix_of("easy"), 2), Tasks(mix_of("easy"), 4242)
    question = theirs.question(1)
    elsewhere = {**question.metadata, "source_index": (question.metadata["source_index"] + 1) % ITEMS}
    for change in ({"answer": "wrong"}, {"text": question.text + " "}, {"metadata": elsewhere}, {"dataset": "bf"}):
        assert recognised(ours, question.model_copy(update=change)) is None
    assert recognised(ours, theirs.held_out(3, "lcm")) is None


@pytest.mark.parametrize(
    "origin", [{}, {"source_seed": True, "source_index": 1}, {"source_seed": -2, "source_index": 1}]
)
def test_a_question_that_does_not_say_what_it_was_made_from_is_left_out_unless_told_otherwise(origin):
    question = Question(text="Calculate 3 * 7.", answer="21", dataset="basic_arithmetic", metadata=origin)
    assert not is_held_out(question.text)
    assert recognised(Tasks(mix_of("easy"), 2), question) is None
    known = recognised(Tasks(mix_of("easy"), 2, strict=False), question)
    assert known == question.model_copy(update={"metadata": {}})


def stock_questions(mix, first, count, seed=42):
    """As GenRL's ReasoningGymDataManager makes them: from a composite that is seeded anew after every 500."""
    sets = [DatasetSpec(task.name, task.weight, dict(task.config)) for task in mix.datasets]
    whole = CompositeDataset(CompositeConfig(size=1_000, seed=seed, datasets=sets))
    endless = iter(ReseedingDataset(whole, chunk_size=500))
    # Where it would be after the first ones, which nobody has to make.
    endless._current_chunk, endless._current_idx = divmod(first, 500)
    endless._current_dataset = endless._create_chunk(endless._current_chunk)
    for entry in islice(endless, count):
        # A table of several sets has all their columns, empty where another set has it.
        metadata = {**json.loads(json.dumps(entry["metadata"])), "column": None, "split": "train", "dataset_index": 1}
        dataset = metadata["source_dataset"]
        yield Question(text=entry["question"], answer=entry["answer"], dataset=dataset, metadata=metadata)


@pytest.mark.parametrize("mix", ["six", "nine"])
@pytest.mark.parametrize("first", [0, 490, 30_000])
def test_a_stock_nodes_question_is_found_and_made_again(mix, first):
    ours = Tasks(mix_of(mix), 7)
    for question in stock_questions(mix_of(mix), first, 30):
        known = recognised(ours, question)
        if is_held_out(question.text):
            assert known is None
            continue
        assert (known.text, known.answer) == (question.text, question.answer)
        right = question.answer if question.answer is not None else known.metadata["example_answer"]
        assert ours.score(known, f"<answer>{right}</answer>") == 1.0
        assert recognised(ours, question.model_copy(update={"answer": "wrong"})) is None


def test_a_stock_nodes_question_of_another_seed_is_left_out():
    ours, strange = Tasks(mix_of("six"), 7), stock_questions(mix_of("six"), 0, 30, seed=4_242)
    assert [recognised(ours, question) for question in strange] == [None] * 30


def test_metadata_that_would_be_computed_for_hours_reach_no_scorer():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    hours = {"variables": list(letters), "premises": [f"({one} ∧ {other})" for one, other in pairwise(letters)]}
    question = Question(text="What follows?", answer="A", dataset="propositional_logic", metadata=hours)
    tasks = Tasks(mix_of("six"), 2, strict=False)
    assert tasks.score(recognised(tasks, question), f"<answer>{' ∨ '.join(letters)}</answer>") == 0.0


def test_a_peers_question_from_a_file_counts_if_it_stands_in_ours(tmp_path):
    rows = [{"question": f"Q{n}", "answer": str(n), "note": "ours"} for n in range(50)]
    tasks = Tasks(lines(tmp_path / "q.jsonl", rows), 2)
    question = tasks.question(1)
    assert recognised(tasks, question.model_copy(update={"metadata": {"note": "theirs"}})).metadata["note"] == "ours"
    assert recognised(tasks, question.model_copy(update={"answer": "0.5"})) is None
    assert recognised(tasks, question.model_copy(update={"text": "Q5000"})) is None


CODE = ["__import__('pathlib').Path('{path}').touch()", "[__import__('pathlib').Path('{path}').touch()]", "10**10**10"]
RUNS_ANSWERS = ["binary_matrix", "spiral_matrix", "string_insertion", "n_queens", "number_sorting"]


@pytest.mark.parametrize("name", RUNS_ANSWERS)
def test_no_answer_is_run_as_code(tmp_path, name):
    tasks = Tasks(Mix(name="m", datasets=(TaskSet(name=name, weight=1),)), 2)
    question, mark = tasks.question(0), tmp_path / "ran"
    for code in CODE:
        text = code.format(path=mark)
        assert tasks.score(question, f"<answer>{text}</answer>") < 0.5
        hostile = Question(text="?", answer=text, dataset=name, metadata={"source_dataset": name})
        tasks.score(hostile, "<answer>1</answer>")
    assert not mark.exists()


def test_a_list_as_an_answer_is_read_as_before():
    tasks = Tasks(Mix(name="m", datasets=(TaskSet(name="binary_matrix", weight=1),)), 2)
    question = tasks.question(0)
    rows = [[int(cell) for cell in row.split()] for row in question.answer.splitlines()]
    assert tasks.score(question, f"<answer>{question.answer}</answer>") == 1.0
    assert tasks.score(question, f"<answer>{rows}</answer>") == pytest.approx(0.1)
    for nested in ("[" * 9_000, "-" * 9_000 + "1", "(" * 150 + ")" * 150):
        assert tasks.score(question, f"<answer>{nested}</answer>") == 0.0


@pytest.mark.parametrize("name", ["countdown", "puzzle24", "polynomial_multiplication", "bitwise_arithmetic"])
def test_a_set_whose_scorer_cannot_be_kept_from_running_answers_is_refused(name):
    with pytest.raises(SettingsError, match="run a stranger's answer as code"):
        Tasks(Mix(name="m", datasets=(TaskSet(name=name, weight=1),)), 2)


def test_nothing_else_in_reasoning_gym_runs_what_it_is_given():
    """A new version may bring another scorer that does: then this fails, and `tamed` has to learn of it."""
    folder = Path(reasoning_gym.__file__).parent
    callers = {
        path.stem
        for path in folder.rglob("*.py")
        if "contrib" not in path.parts
        and re.search(r"(?<![\w.])(eval|exec|sympify)\(|sympy?\.parse_expr\(|sp\.parse_expr", path.read_text())
    }
    made_only = {"basic_arithmetic", "generators_00_49", "generators_50_99", "codeio"}  # of their own text, in making
    refused = {"bitwise_arithmetic", "simple_integration", "intermediate_integration", "polynomial_multiplication"}
    assert callers <= made_only | refused | set(RUNS_ANSWERS)


def test_an_answer_too_long_for_a_generators_scorer_earns_nothing_at_once():
    tasks = Tasks(Mix(name="logic", datasets=(TaskSet(name="propositional_logic", weight=1),)), 1)
    question, variable = tasks.question(0), "A"
    for answer in ("(" * 9_000 + variable + ")" * 9_000, "¬" * 19_000 + variable):  # minutes, each
        assert tasks.score(question, f"<answer>{answer}</answer>") == 0.0
    assert is_scorable("x" * SCORED, None)
    assert not is_scorable("x" * (SCORED + 1), None)
    assert is_scorable("x" * (SCORED + 20), "x" * 10)
