"""Checkpoints of the real embedded model: whole, damaged, of another version, and what is decided between two."""

import hashlib
import json
import logging
import os
import random
import shutil
import time

import numpy
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config

from services.trainer import metrics
from services.trainer.games.game import AnswerGame
from services.trainer.games.tasks import Tasks
from services.trainer.learning.learner import Learner
from services.trainer.learning.rollout import Scored
from services.trainer.loop import Trainer
from services.trainer.model.choice import EMBEDDED
from services.trainer.model.policy import Policy
from services.trainer.pacing import Lap, Pace
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Checkpoints, Progress
from services.trainer.state.journal import Decided, Journal
from shared.health import Health
from shared.messages import Rollouts, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from shared.streams import ROLLOUTS_PEER
from tests.examples import ALICE, BOB, EXAMPLES, REWARD

SETTINGS = load("trainer", TrainerSettings)
ROUND = Round(number=7, stage=0, opened_at=0.0, deadline=20.0, swarm="home")
BOBS = next(example for example in EXAMPLES if isinstance(example, Rollouts)).model_copy(update={"peer_id": BOB})


def parts():
    policy = Policy(SETTINGS.policy)
    return policy, Learner(policy, SETTINGS.learner, temperature=1.0, max_new_tokens=SETTINGS.game.max_new_tokens)


def game_of(policy):
    return AnswerGame(policy, Tasks(SETTINGS.data, 42), SETTINGS.game, peer=ALICE, seed=1)


def graded(groups):
    return [Scored(g.author, g.question, g.completions, tuple(k % 2 for k in range(8)), g.tokens) for g in groups]


def weights(policy):
    return torch.cat([p.detach().flatten().clone() for p in policy.model.parameters()])


def digest(folder):
    return hashlib.sha256((folder / "tensors.safetensors").read_bytes()).hexdigest()


def of_step(checkpoints, step):
    return checkpoints.folder / f"{step:010d}"


def damaged_so_far():
    return metrics.CHECKPOINTS_DAMAGED._value.get()


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three steps with a checkpoint after each; of every test a copy."""
    folder = tmp_path_factory.mktemp("three")
    policy, learner = parts()
    checkpoints, game = Checkpoints(folder, ALICE, "embedded"), game_of(policy)
    for step in range(3):
        learner.update(graded(game.sample(step, range(4 * step, 4 * step + 4))))
        checkpoints.save(policy, learner, Progress(step=step + 1, round=10 + step, unsent=(REWARD,)))
    return policy, learner, folder


@pytest.fixture
def trained(three, tmp_path):
    """A fresh model, and the three steps' checkpoints."""
    shutil.copytree(three[2], tmp_path, dirs_exist_ok=True)
    policy, learner = parts()
    return policy, learner, Checkpoints(tmp_path, ALICE, "embedded")


def trainer_of(folder, *overrides):
    own = [f"state_dir={folder}", "policy.model=embedded", "exchange_patience_s=0"]
    settings = load("trainer", TrainerSettings, [*own, *overrides])
    return Trainer(settings, Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60)), ALICE)


def opened(number, seconds=20.0):
    now = time.time()
    return Round(number=number, stage=0, opened_at=now, deadline=now + seconds)


def test_training_goes_on_after_a_checkpoint_exactly_as_without_a_stop(three, trained):
    (policy, learner, _), (other, other_learner, checkpoints) = three, trained
    progress = checkpoints.load(other, other_learner)
    assert (progress.step, progress.round, progress.unsent) == (3, 12, (REWARD,))
    assert (torch.equal(weights(policy), weights(other)), checkpoints.damage) == (True, "")
    one, two = game_of(policy).sample(3, range(12, 16)), game_of(other).sample(3, range(12, 16))
    assert one == two
    learner.update(graded(one)), other_learner.update(graded(one))
    assert torch.equal(weights(policy), weights(other))


def test_a_torn_checkpoint_is_set_aside_for_the_one_before_and_the_log_says_what_is_lost(trained, caplog):
    policy, learner, checkpoints = trained
    tensors, before = of_step(checkpoints, 3) / "tensors.safetensors", damaged_so_far()
    tensors.write_bytes(tensors.read_bytes()[:1000])
    with caplog.at_level(logging.ERROR):
        assert checkpoints.load(policy, learner).step == 2
    (line,) = caplog.messages
    assert "checkpoint 3 is damaged" in line and "1 rounds of learning are lost" in line and "from step 2" in line
    assert (checkpoints.damage, damaged_so_far() - before) == (line, 1)
    assert (checkpoints.folder / "damaged" / "0000000003" / "tensors.safetensors").stat().st_size == 1000
    assert checkpoints.load(policy, learner).step == 2 and checkpoints.damage == ""


def test_with_all_damaged_training_begins_anew_and_nothing_is_deleted(trained):
    policy, learner, checkpoints = trained
    for step in (2, 3):
        (of_step(checkpoints, step) / "progress.json").write_text("{")
    fresh = weights(policy)
    assert checkpoints.load(policy, learner) == Progress()
    assert torch.equal(weights(policy), fresh)
    assert "begins anew" in checkpoints.damage
    assert len(list((checkpoints.folder / "damaged").iterdir())) == 2
    assert checkpoints.save(policy, learner, Progress(step=1)).step == 1
    assert checkpoints.load(policy, learner).step == 1  # the new one is not taken for an old one and dropped


def test_one_turned_bit_is_seen(trained):
    policy, learner, checkpoints = trained
    tensors = of_step(checkpoints, 3) / "tensors.safetensors"
    content = bytearray(tensors.read_bytes())
    content[-1] ^= 1
    tensors.write_bytes(content)
    assert checkpoints.load(policy, learner).step == 2


def test_what_was_set_aside_is_bounded(trained):
    policy, learner, checkpoints = trained
    progress = checkpoints.load(policy, learner)
    for step in range(4, 9):
        checkpoints.save(policy, learner, progress.model_copy(update={"step": step}))
        (of_step(checkpoints, step) / "tensors.safetensors").unlink()
        assert checkpoints.load(policy, learner).step < step
    assert sorted(path.name for path in (checkpoints.folder / "damaged").iterdir()) == ["0000000007", "0000000008"]


def test_the_checkpoint_of_another_model_changes_no_weight(trained, tmp_path):
    policy, learner, checkpoints = trained
    path, fresh = of_step(checkpoints, 3) / "tensors.safetensors", weights(policy)
    name = next(iter(dict(policy.model.named_parameters())))
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    for wrong in ({**tensors, f"model.{name}": tensors[f"model.{name}"][:-1]}, {f"model.{name}": torch.zeros(1)}):
        save_file(wrong, path)
        (path.parent / "progress.json").write_text(Progress(step=3, sha256=digest(path.parent)).model_dump_json())
        shutil.rmtree(of_step(checkpoints, 2), ignore_errors=True)
        assert checkpoints.load(policy, learner) == Progress()
        assert "another model" in checkpoints.damage
        assert torch.equal(weights(policy), fresh)
        (checkpoints.folder / "damaged" / "0000000003").rename(path.parent)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_checkpoint_that_may_not_be_read_is_not_taken_for_a_damaged_one(trained):
    policy, learner, checkpoints = trained
    (of_step(checkpoints, 3) / "progress.json").chmod(0)
    with pytest.raises(PermissionError):
        checkpoints.load(policy, learner)


def test_a_checkpoint_of_an_earlier_version_loads_and_begins_the_lineage(trained):
    policy, learner, checkpoints = trained
    newest = of_step(checkpoints, 3)
    before = {"step": 3, "round": 12, "swarm": "x", "unsent": [REWARD.model_dump()]}  # as it was written then
    (newest / "progress.json").write_text(json.dumps(before))
    progress = checkpoints.load(policy, learner)
    assert (progress.step, progress.round, progress.swarm, progress.unsent) == (3, 12, "x", (REWARD,))
    assert (progress.sha256, progress.parent) == (digest(newest), "")
    assert checkpoints.save(policy, learner, progress.model_copy(update={"step": 4})).parent == digest(newest)


def test_one_of_a_later_version_loads_without_what_is_not_known_here(trained):
    policy, learner, checkpoints = trained
    file = of_step(checkpoints, 3) / "progress.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "invented_later": [1, 2]}))
    assert checkpoints.load(policy, learner).step == 3


def test_where_an_earlier_version_counted_no_questions_the_next_is_the_one_it_would_have_asked(trained, tmp_path):
    assert trainer_of(tmp_path).progress.asked == 3 * SETTINGS.questions


def test_only_the_newest_checkpoints_are_kept_and_leftovers_of_a_crash_go(trained):
    policy, learner, checkpoints = trained
    shutil.copytree(of_step(checkpoints, 2), checkpoints.folder / ".0000000009.1")
    checkpoints.load(policy, learner)
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["0000000002", "0000000003"]


async def test_a_damaged_checkpoint_is_told_until_the_next_is_written_and_all_progress_comes_back(tmp_path):
    trainer = trainer_of(tmp_path)
    for number in range(3):
        await trainer.play(opened(number))
    again = trainer_of(tmp_path)
    measured = {"pace": again.progress.pace}  # a round is measured after its checkpoint is written
    assert again.progress == trainer.progress.model_copy(update=measured)
    assert (again.progress.asked, len(again.progress.pace.laps)) == (3 * SETTINGS.questions, 2)
    newest = sorted(trainer.checkpoints.folder.glob("0*"))[-1]
    (newest / "tensors.safetensors").write_bytes(b"")
    torn = trainer_of(tmp_path)
    assert "is damaged" in torn.context.health.state()["degraded"]["checkpoint"]
    await torn.play(opened(3))
    assert "checkpoint" not in torn.context.health.state()["degraded"]


def states():
    return random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


async def test_nothing_draws_from_the_global_generators_of_torch_python_and_numpy(tmp_path):
    trainer, tasks = trainer_of(tmp_path), Tasks(load("trainer", TrainerSettings, ["data=nine"]).data, 42)
    before = states()
    await trainer.context.queue.publish(ROLLOUTS_PEER, BOBS.model_copy(update={"round": 4}))
    await trainer.play(opened(4))
    await trainer.play_alone()
    for number in range(200):
        question = tasks.question(number)
        tasks.score(question, f"<answer>{question.answer}</answer>")
    assert states() == before


def with_dropout(folder):
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED)
    tokenizer.save_pretrained(folder)
    ends = {"eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "pad_token_id": tokenizer.pad_token_id}
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, resid_pdrop=0.5, **ends)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return f"policy.model={folder}"


def test_an_update_has_no_dropout_so_that_it_follows_from_weights_and_rollouts_alone(tmp_path):
    model, found = with_dropout(tmp_path / "model"), []
    for seed, step in ((1, 0), (2, 0), (2, 1)):
        trainer = trainer_of(tmp_path / f"{seed}{step}", model, "game.max_new_tokens=8", "learner.micro_groups=0")
        local = graded(trainer.game.sample(0, range(2)))
        trainer.progress = trainer.progress.model_copy(update={"step": step})
        torch.manual_seed(seed)
        trainer._learn(local)
        found.append(weights(trainer.policy))
    assert torch.equal(found[0], found[1]) and torch.equal(found[1], found[2])


def test_what_a_round_decided_is_decided_again_after_a_crash_and_not_in_another_round_step_or_swarm(tmp_path):
    journal = Journal(tmp_path)
    assert journal.decided(3, ROUND) is None and journal.peers(3, ROUND) is None
    journal.write(3, ROUND, Decided(questions=5))
    journal.write_peers(3, ROUND, (BOB, ALICE))
    again = Journal(tmp_path)
    assert again.decided(3, ROUND) == Decided(questions=5, peers=(BOB, ALICE))
    assert again.peers(3, ROUND) == (BOB, ALICE)
    for step, round_ in (
        (4, ROUND),
        (3, ROUND.model_copy(update={"number": 8})),
        (3, ROUND.model_copy(update={"swarm": "other"})),
    ):
        assert again.decided(step, round_) is None and again.peers(step, round_) is None
    again.write(3, ROUND.model_copy(update={"stage": 1}), Decided(questions=5))
    assert again.peers(3, ROUND) == (BOB, ALICE)  # stages of one step stand on one page
    again.write(4, ROUND, Decided(questions=1))
    assert again.decided(3, ROUND) is None


@pytest.mark.parametrize("content", ["", "{", '{"step": "x"}'])
def test_a_journal_that_cannot_be_read_is_begun_anew(tmp_path, content):
    (tmp_path / "round.json").write_text(content)
    assert Journal(tmp_path).decided(0, ROUND) is None


def test_a_journal_that_cannot_be_written_costs_the_exact_repetition_and_not_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "folder")
    journal.write(3, ROUND, Decided(questions=5))
    assert "may repeat the round differently" in caplog.text
    assert journal.decided(3, ROUND) == Decided(questions=5)


async def test_a_round_cut_short_asks_as_many_questions_as_before_and_learns_from_the_same_peers(tmp_path):
    slow = Pace(laps=(Lap(question_s=4.0, group_s=0.1, save_s=0.1),))
    played = []
    for attempt in range(2):  # the second process finds no checkpoint: the first died before it wrote one
        trainer = trainer_of(tmp_path, "checkpoint_every=99")
        trainer.progress = trainer.progress.model_copy(update={"pace": slow})
        round_ = opened(4, seconds=(20.0, 7.0)[attempt])
        late = [BOBS.model_copy(update={"peer_id": peer}) for peer in (BOB, "Qm" + "a" * 44)[: attempt + 1]]
        for rollouts in late:
            await trainer.context.queue.publish(ROLLOUTS_PEER, rollouts.model_copy(update={"round": 4}))
        await trainer.play(round_)
        played.append((trainer.progress.asked, weights(trainer.policy)))
    assert played[0][0] == played[1][0] == 3  # 0.8 x 20 s, less the update, holds three of four seconds
    assert torch.equal(played[0][1], played[1][1])
