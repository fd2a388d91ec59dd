"""The embedded model taken for one of the hub, on a machine that is made small."""

import shutil
import time

import pytest

from services.trainer.loop import Trainer
from services.trainer.model import preflight
from services.trainer.model.choice import EMBEDDED
from services.trainer.model.footprint import shape_of
from services.trainer.model.hardware import Memory
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.health import Health
from shared.host import resident_bytes
from shared.messages import Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from tests.examples import ALICE

MIB = 2**20


@pytest.fixture
def settings(tmp_path):
    shutil.copytree(EMBEDDED, tmp_path / "model")
    return load("trainer", TrainerSettings, [f"state_dir={tmp_path}", f"policy.model={tmp_path / 'model'}"])


def context_of():
    return Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))


def memory_of(mib):
    """So much more than this process holds now."""
    size = int((resident_bytes() + mib * MIB) / 0.9)
    return Memory("cpu", size, size)


def test_a_machine_with_room_does_all_at_once_and_one_without_does_less_and_says_so(settings):
    policy = Policy(settings.policy)
    wide, narrow, none = context_of(), context_of(), context_of()
    roomy = preflight.fit(settings, policy, wide, memory_of(100_000))
    tight = preflight.fit(settings, policy, narrow, memory_of(100))
    preflight.fit(settings, policy, none, Memory("cpu", MIB, MIB))
    assert (roomy.game.max_new_tokens, roomy.learner.micro_groups, roomy.questions) == (512, 0, settings.questions)
    assert (tight.game.max_new_tokens, tight.learner.micro_groups) == (512, 1)
    assert 0 < tight.learner.micro_completions < tight.game.completions
    assert wide.health.facts["at_once"] == "all groups" and "completions" in narrow.health.facts["at_once"]
    assert not wide.health.state()["degraded"] and "too much" in none.health.state()["degraded"]["memory"]


@pytest.mark.parametrize("recompute", [False, True])
def test_the_probe_is_near_what_is_calculated(settings, recompute):
    policy = Policy(settings.policy)
    shape = shape_of(policy.model.config.get_text_config(), policy.size)
    assert 1.0 <= preflight.probe(policy, shape, 4, recompute=recompute) <= preflight.MOST_FACTOR
    assert all(parameter.grad is None for parameter in policy.model.parameters())


async def test_a_round_is_played_as_planned_at_a_pace_that_was_measured_before(settings, monkeypatch):
    monkeypatch.setattr(preflight, "measure", lambda _: memory_of(100))
    short = settings.model_copy(update={"left_open": settings.left_open - {"game.max_new_tokens"}, "questions": 2})
    short = short.model_copy(update={"game": settings.game.model_copy(update={"max_new_tokens": 16})})
    trainer = Trainer(short, context_of(), ALICE)
    (lap,) = trainer.progress.pace.laps
    assert lap.question_s > 0 and lap.group_s > 0
    now = time.time()
    await trainer.play(Round(number=0, stage=0, opened_at=now, deadline=now + 600))
    assert trainer.progress.asked == 2 and len(trainer.progress.pace.laps) == 2


def test_the_embedded_model_is_left_alone(tmp_path):
    settings = load("trainer", TrainerSettings, [f"state_dir={tmp_path}", "policy.model=embedded"])
    policy = Policy(settings.policy)
    assert preflight.fit(settings, policy, context_of(), Memory("cpu", MIB, MIB)) is settings
    assert preflight.first_pace(policy, settings).laps == ()
