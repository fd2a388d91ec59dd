"""What docs/games.md shows, really loaded and played."""

import json
import re
import time
from pathlib import Path

import pytest

from services.judge.bank import Bank
from services.trainer.games.loading import game_named
from services.trainer.loop import Trainer
from services.trainer.settings import TrainerSettings
from shared.errors import SettingsError
from shared.health import Health
from shared.messages import Question, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROLLOUTS_LOCAL
from tests.examples import ALICE

DOC = (Path(__file__).parents[2] / "docs" / "games.md").read_text()
BLOCKS = re.findall(r"```(jsonl|python)\n(.*?)```", DOC, re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """The three files, as the page shows them, and more questions of the same form."""
    (lines, scorer, game) = (text for _, text in BLOCKS)
    more = [{"question": f"What is the capital of land {n}?", "answer": f"Town {n}"} for n in range(60)]
    (tmp_path / "capitals.jsonl").write_text(lines + "".join(json.dumps(row) + "\n" for row in more))
    (tmp_path / "capitals.py").write_text(scorer)
    (tmp_path / "brief.py").write_text(game)
    return tmp_path


@pytest.fixture
def settings(folder, monkeypatch):
    monkeypatch.setenv("GAME", f"{folder}/brief.py:BriefGame")
    monkeypatch.setenv("DATA_FILE", f"{folder}/capitals.jsonl")
    monkeypatch.setenv("DATA_SCORER", f"{folder}/capitals.py:score")
    given = ["data=jsonl", "policy.model=embedded", f"state_dir={folder}", "exchange_patience_s=0", "questions=2"]
    return load("trainer", TrainerSettings, given)


async def test_the_pages_game_questions_and_scorer_are_played(settings):
    context = Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))
    trainer = Trainer(settings, context, ALICE)
    await trainer.play(Round(number=0, stage=0, opened_at=time.time(), deadline=time.time() + 5))
    (entry,) = await context.queue.read(ROLLOUTS_LOCAL, limit=10)
    questions = [group.question for group in entry.message.groups]
    assert len(questions) == 2 and all("capital" in question.text for question in questions)
    assert trainer.progress.step == 1

    asked = Question(text="What is the capital of Japan?", answer="Tokyo", dataset="jsonl", metadata={"also": ["Edo"]})
    short, long = "<answer>Tokyo</answer>", "<think>" + "well " * 60 + "</think><answer>tokyo</answer>"
    assert trainer.game.reward(asked, short) == pytest.approx(0.995)
    assert trainer.game.reward(asked, long) == pytest.approx(0.8)
    assert trainer.game.reward(asked, "<answer>Edo</answer>") == pytest.approx(0.4975)
    assert trainer.game.reward(asked, "<answer>Kyoto</answer>") == 0.0


async def test_the_judge_asks_from_the_same_file_what_no_trainer_learns_from(settings):
    bank = Bank(settings.data)
    assert "capital of land" in bank.question(3)
    assert bank.score(3, bank._entry(3)["answer"]) == 1.0


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("chess", "no game 'chess'"),
        ("{folder}/brief.py:Missing", "has no attribute 'Missing'"),
        ("{folder}/nowhere.py:Game", "FileNotFoundError"),
        ("{folder}/broken.py:Game", "ZeroDivisionError"),
        ("no.such.module:Game", "ModuleNotFoundError"),
        ("pathlib:Path", "lacks stages"),
        (":", "names no code"),
    ],
)
def test_a_game_that_cannot_be_loaded_is_one_line_that_says_why(folder, name, cause):
    (folder / "broken.py").write_text("1 / 0\n")
    with pytest.raises(SettingsError, match=cause):
        game_named(name.format(folder=folder))


def test_files_beside_a_game_can_be_imported_and_a_game_is_loaded_once(folder):
    (folder / "beside.py").write_text("from brief import BriefGame as Game\n")
    assert game_named(f"{folder}/beside.py:Game").stages == 1
    assert game_named(f"{folder}/brief.py:BriefGame") is game_named(f"{folder}/brief.py:BriefGame")
