"""What an update does where it must do nothing, where the memory is not enough, and what a step changes."""

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from prometheus_client import REGISTRY

from services.trainer import report
from services.trainer.forward import sampling
from services.trainer.forward.sampling import sample
from services.trainer.games.game import AnswerGame
from services.trainer.games.tasks import Tasks
from services.trainer.learning.learner import Learner
from services.trainer.learning.movement import Movement
from services.trainer.learning.rollout import Scored
from services.trainer.loop import Trainer
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from services.trainer.state.checkpoint import Checkpoints, Progress
from services.trainer.stopwatch import Stopwatch
from shared.errors import SwarmError
from shared.health import Health
from shared.messages import Completion, Round
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from tests.examples import ALICE, QUESTION

SETTINGS = load("trainer", TrainerSettings)
ROUND = Round(number=7, stage=0, opened_at=0.0, deadline=20.0)
EVERYTHING = 1e9  # a bound nothing reaches


def learner_of(policy, temperature=1.0, **change):
    settings = SETTINGS.learner.model_copy(update=change)
    return Learner(policy, settings, temperature=temperature, max_new_tokens=SETTINGS.game.max_new_tokens)


def rollouts(policy, count=4):
    """Groups as if every second completion were right."""
    game = AnswerGame(policy, Tasks(SETTINGS.data, 42), SETTINGS.game, peer=ALICE, seed=1)
    return [replace(group, rewards=tuple(k % 2 for k in range(8))) for group in game.sample(0, range(count))]


def rated(group, *rewards):
    return replace(group, rewards=rewards)


def state(policy, learner):
    """Weights and moments, bit for bit."""
    weights = list(policy.model.parameters())
    moments = [sorted(learner.optimizer.state.get(weight, {}).items()) for weight in weights]
    return [tensor.detach().clone() for tensor in (*weights, *(value for one in moments for _, value in one))]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.fixture
def trained():
    """A learner that has learnt once, so that there are moments to be kept."""
    policy = Policy(SETTINGS.policy)
    learner, groups = learner_of(policy), rollouts(policy)
    learner.update(groups)
    return policy, learner, groups


def test_a_round_that_teaches_nothing_changes_neither_weights_nor_moments(trained):
    policy, learner, groups = trained
    before = state(policy, learner)
    zeros = [rated(group, *[0.0] * 8) for group in groups]
    lone = [replace(groups[0], completions=groups[0].completions[:1], rewards=(1.0,), tokens=groups[0].tokens[:1])]
    for batch, reason in (([], "empty"), (zeros, "flat"), (zeros[:1], "flat"), (lone, "flat")):
        assert learner.update(batch).noop == reason
        assert same(state(policy, learner), before)


def test_a_single_group_is_a_round_like_any_other(trained):
    policy, learner, groups = trained
    before = state(policy, learner)
    assert learner.update(groups[:1]).noop is None
    assert not same(state(policy, learner), before)


def test_completions_without_an_advantage_are_not_computed_and_count_all_the_same():
    found = []
    for omit in (False, True):
        policy = Policy(SETTINGS.policy)
        learner, (first, second, *_) = learner_of(policy, loss="dapo"), rollouts(policy)
        other = next(k for k in range(8) if first.tokens[k] != first.tokens[0])  # equal ones would cancel out
        rewards = [{0: 1.0, other: 0.0}.get(k, 0.5) for k in range(8)]
        groups = [rated(first, *rewards), rated(second, *[0.3] * 8)]
        if not omit:  # as if every completion had to be computed
            learner._batch = lambda groups, step, make=learner._batch: computed(make(groups, step))
        found.append((learner.update(groups), state(policy, learner)))
    (one, weights), (other, same_weights) = found
    assert one.loss == pytest.approx(other.loss, abs=1e-7)
    assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
    assert max((a - b).abs().max() for a, b in zip(weights[:20], same_weights[:20], strict=True)) < 1e-3


def computed(batch):
    tiny = [advantage or 1e-8 for advantage in batch.advantages]
    return replace(batch, advantages=tiny)


def test_a_loss_that_is_not_a_number_never_reaches_the_weights(trained):
    policy, _, groups = trained
    learner = learner_of(policy, temperature=1e-42)  # logits divided by almost nothing
    learner.update(groups)
    before = state(policy, learner)
    update = learner.update(groups)
    assert update.noop == "nonfinite" and (update.loss, update.gradient_norm) == (0.0, 0.0)
    assert same(state(policy, learner), before) and all(tensor.isfinite().all() for tensor in before)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_an_infinite_gradient_never_reaches_the_weights_and_the_next_round_goes_on(trained, value):
    policy, learner, groups = trained
    before = state(policy, learner)
    weight = next(policy.model.parameters())
    hook = weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([3]), value))
    assert learner.update(groups).noop == "nonfinite"
    assert same(state(policy, learner), before)
    hook.remove()
    assert learner.update(groups).noop is None
    assert not same(state(policy, learner), before) and all(weight.isfinite().all() for weight in before)


def test_what_the_first_iteration_learnt_is_kept_where_the_second_finds_no_number(trained):
    policy, _, groups = trained
    learner = learner_of(policy, iterations=2)
    calls, weight, before = [], next(policy.model.parameters()), state(policy, learner)
    weight.register_hook(lambda gradient: calls.append(1) or (gradient * float("nan") if len(calls) > 1 else gradient))
    update = learner.update(groups)
    assert update.noop is None and update.gradient_norm > 0
    assert not same(state(policy, learner), before) and all(
        weight.isfinite().all() for weight in policy.model.parameters()
    )


@pytest.mark.parametrize(
    ("rewards", "reason", "words"),
    [
        ([], "empty", "there were no rollouts"),
        ([[0.0] * 8] * 2, "flat", "in no group"),
        ([[1.0, *[0.0] * 7]], "nonfinite", "not finite numbers"),
    ],
)
def test_a_round_without_learning_is_legal_counted_by_its_reason_and_told_once(
    tmp_path, caplog, rewards, reason, words
):
    trainer = trainer_of(tmp_path)
    groups = [rated(group, *earned) for group, earned in zip(rollouts(trainer.policy), rewards, strict=False)]
    next(trainer.policy.model.parameters()).register_hook(lambda gradient: gradient * float("nan"))
    before, counted = state(trainer.policy, trainer.learner), noops(reason)
    with caplog.at_level(logging.INFO):
        update = trainer._learn(trainer._mix(groups, []), groups)
    assert update.noop == reason and noops(reason) == counted + 1
    assert [words in record.getMessage() for record in caplog.records] == [True]
    assert same(state(trainer.policy, trainer.learner), before)
    event = report.trained(ALICE, ROUND, groups, [], [], update, Stopwatch(), "", {})
    assert (event.loss, event.gradient_norm, event.changed) == (0.0, 0.0, None)


def trainer_of(folder):
    settings = load("trainer", TrainerSettings, [f"state_dir={folder}"])
    return Trainer(settings, Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60)), ALICE)


def noops(reason):
    return REGISTRY.get_sample_value("swarm_trainer_noop_rounds_total", {"reason": reason})


def test_an_update_is_measured(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.learner.micro_completions = 5
    update = trainer._learn(rollouts(trainer.policy))
    assert trainer.progress.micro_completions == 5
    assert REGISTRY.get_sample_value("swarm_trainer_micro_batch_completions") == 5
    assert REGISTRY.get_sample_value("swarm_trainer_changed_weights_ratio") == update.changed > 0.5


def test_micro_batches_of_any_size_add_up_to_the_whole_batch():
    found = {}
    for size in (0, 64, 9, 8, 5, 1):
        policy = Policy(SETTINGS.policy)
        learner = learner_of(policy, max_gradient_norm=EVERYTHING, loss="dapo", scale_rewards="batch", beta=0.04)
        learner.micro_completions = size
        learner.optimizer.register_step_pre_hook(lambda *_, p=policy, s=size: found.update({s: gradients(p)}))
        learner.update([*rollouts(policy), of_a_peer()])
    for size, gradient in found.items():
        assert (gradient - found[0]).norm() / found[0].norm() < 1e-5, size


def gradients(policy):
    return torch.cat([weight.grad.flatten().clone() for weight in policy.model.parameters()])


def of_a_peer():
    texts = ("<answer> 21 </answer>", "<answer> 4", "")
    return Scored("peer", QUESTION, tuple(Completion(text=t, finished=bool(t)) for t in texts), (1.0, 0.0, 0.5))


SCARCE = """
import logging, resource, sys
import torch
from tests.integration.test_trainer_limits import EVERYTHING, learner_of, gradients, SETTINGS
from services.trainer.model.policy import Policy

logging.basicConfig(level=logging.WARNING, format="%(message)s")
folder, room = sys.argv[1], int(sys.argv[2])
policy = Policy(SETTINGS.policy)
learner = learner_of(policy, max_gradient_norm=EVERYTHING)
groups = torch.load(folder + "/groups.pt", weights_only=False)
learner.log_probs(learner._batch(groups[:1], None).part([0]))[0].sum().backward()  # what is loaded late is loaded now
learner.optimizer.register_step_pre_hook(lambda *_: torch.save(gradients(policy), folder + "/gradients.pt"))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
learner.update(groups)
print("tried", learner.micro_completions)
"""


def scarce(folder, room_mib, program=SCARCE):
    """An update, or another program, in a process that may take so much more memory than the model needs."""
    command = [sys.executable, "-c", program, str(folder), str(room_mib << 20)]
    environment = {"PATH": "", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=environment, timeout=110)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_out_of_memory_halves_the_micro_batch_and_learns_the_same(tmp_path):
    policy = Policy(SETTINGS.policy)
    learner, groups = learner_of(policy, max_gradient_norm=EVERYTHING), rollouts(policy, 16)
    found = []
    learner.optimizer.register_step_pre_hook(lambda *_: found.append(gradients(policy)))
    torch.save(groups, tmp_path / "groups.pt")
    learner.update(groups)
    done = scarce(tmp_path, 30)
    assert done.returncode == 0, done.stderr
    tried = int(done.stdout.split()[1])
    assert 1 <= tried <= 64
    assert f"the round goes on with {tried} completions at once" in done.stderr
    again = torch.load(tmp_path / "gradients.pt")
    assert (again - found[0]).norm() / found[0].norm() < 1e-5


SCARCE_SAMPLING = """
import json, logging, resource, sys
from tests.integration.test_trainer_limits import SETTINGS, asked, sampled
from services.trainer.model.policy import Policy

logging.basicConfig(level=logging.WARNING, format="%(message)s")
policy = Policy(SETTINGS.policy)
sampled(policy, asked(1))  # what is loaded late is loaded now
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
room = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (used + room, used + room))
tokens = sampled(policy, asked(64))
print(json.dumps([policy.prompts_at_once, tokens]))
"""


def asked(count):
    return [f"What is {number} + {number}?" for number in range(count)]


def sampled(policy, questions):
    generator = torch.Generator().manual_seed(7)
    return sample(policy, [policy.prompt(text) for text in questions], SETTINGS.game, generator)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_out_of_memory_in_sampling_halves_what_is_asked_at_once_and_draws_the_same(tmp_path):
    done = scarce(tmp_path, 24, SCARCE_SAMPLING)
    assert done.returncode == 0, done.stderr
    at_once, tokens = json.loads(done.stdout)
    assert 1 <= at_once <= 32
    assert f"sampling goes on with {at_once} questions at once" in done.stderr
    assert tokens == sampled(Policy(SETTINGS.policy), asked(64))


def test_memory_for_not_even_one_question_is_one_line_with_the_remedy(trained, monkeypatch):
    policy, _, _ = trained
    monkeypatch.setattr(sampling, "_sample", lambda *_: torch.empty(2**55))  # the allocator's own refusal
    with pytest.raises(SwarmError, match="single question"):
        sampled(policy, asked(3))


def test_memory_for_not_even_one_completion_is_one_line_with_the_remedy(trained):
    _, learner, groups = trained
    learner._add = lambda *_: torch.empty(2**55)  # the allocator's own refusal
    with pytest.raises(SwarmError, match="single completion") as caught:
        learner.update(groups)
    assert "MAX_NEW_TOKENS" in str(caught.value)


def test_what_was_found_out_about_the_memory_survives_a_restart(tmp_path, trained):
    policy, learner, _ = trained
    checkpoints = Checkpoints(tmp_path, ALICE, "embedded")
    checkpoints.save(policy, learner, Progress(step=1, micro_completions=4))
    assert checkpoints.load(policy, learner).micro_completions == 4


def test_an_error_that_has_nothing_to_do_with_memory_is_not_tried_again(trained):
    _, learner, groups = trained

    def fail(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    learner._add = fail
    with pytest.raises(RuntimeError, match="mat1"):
        learner.update(groups)
    assert learner.micro_completions == 0


def test_the_reference_model_is_the_one_training_began_with_after_a_restart_too(tmp_path):
    policy = Policy(SETTINGS.policy)
    learner = learner_of(policy, beta=0.04, learning_rate=1e-3)
    groups, checkpoints = rollouts(policy), Checkpoints(tmp_path, ALICE, "embedded")
    assert learner.update(groups, 0).kl == pytest.approx(0, abs=1e-6)
    moved = [learner.update(groups, 0) for _ in range(3)][-1]
    assert moved.kl > 1e-4
    checkpoints.save(policy, learner, Progress(step=4))
    resumed = Policy(SETTINGS.policy)
    other = learner_of(resumed, beta=0.04, learning_rate=1e-3)
    checkpoints.load(resumed, other)
    one, two = learner.update(groups, 0), other.update(groups, 0)
    assert one.kl == two.kl > 1e-4
    assert same(state(policy, learner), state(resumed, other))


def changed_by_a_step(dtype):
    """Share of the weights that a step at 1e-6 changes, if the master weights are of this type.

    Without the embeddings: those of tokens that do not occur have no gradient.
    """
    policy = Policy(SETTINGS.policy)
    groups = rollouts(policy)
    policy.model.to(dtype)
    learner = learner_of(policy, learning_rate=1e-6)
    before = [weight.detach().clone() for weight in policy.model.parameters()]
    update = learner.update(groups)
    embeddings = policy.model.get_input_embeddings().weight
    moved = [(now != then).sum().item() for now, then in zip(policy.model.parameters(), before, strict=True)]
    assert update.changed == pytest.approx(sum(moved) / policy.size, abs=0.01)  # the sample tells it
    pairs = zip(policy.model.parameters(), moved, strict=True)
    return sum(count for weight, count in pairs if weight is not embeddings) / (policy.size - embeddings.numel())


def test_a_small_step_changes_nearly_all_float32_weights_and_hardly_any_in_bfloat16():
    assert changed_by_a_step(torch.float32) > 0.99
    assert changed_by_a_step(torch.bfloat16) < 0.03


def test_a_sample_of_weights_is_fixed_and_as_large_as_the_model_at_most():
    weights = [torch.zeros(3, 4), torch.zeros(0), torch.zeros(20)]
    movement = Movement(weights, size=1_000)
    before = movement.look()
    assert movement.since(before) == 0 and sum(map(len, before)) == 32
    weights[2] += 1
    assert movement.since(before) == pytest.approx(20 / 32, abs=0.3)
