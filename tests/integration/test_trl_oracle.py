"""TRL's GRPOTrainer and this learner, side by side on the same model, batch and hyperparameters."""

from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from transformers import AutoTokenizer

from services.trainer.forward.sampling import sample_with_log_probs
from services.trainer.learning.learner import Learner
from services.trainer.learning.rollout import Scored
from services.trainer.model.choice import EMBEDDED
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.settings import load
from tests.examples import ALICE, QUESTION

G, LENGTH, TEMPERATURE = 4, 12, 1.5
SETTINGS = load("trainer", TrainerSettings)
QUESTIONS = ("Calculate 3 * 7.", "Calculate 12 + 5 - 2 + 8.", "Calculate 60 - 41.")
REWARDS = ((1.0, 0.0, 0.0, 0.25), (0.0, 1.0, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5))  # the last teaches nothing
GRID = [*product(("grpo", "dapo", "dr_grpo"), (0.0, 0.04), ("none", "group")), ("dapo", 0.0, "batch")]
EVERYTHING = 1e9  # a bound nothing reaches


@dataclass
class Pass:
    """Weights of one forward and backward pass, and the gradients that came of it."""

    weights: dict
    gradients: dict


def policy_of_its_own():
    """The embedded model, disturbed: not its own reference model, and not sure of its answers."""
    policy = Policy(SETTINGS.policy)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in policy.model.parameters():
            weight.add_(0.06 * torch.randn(weight.shape, generator=generator))
    return policy


@pytest.fixture(scope="module")
def groups():
    policy = policy_of_its_own()
    game = SETTINGS.game.model_copy(
        update={"completions": G, "max_new_tokens": LENGTH, "temperature": TEMPERATURE, "top_k": 40, "top_p": 0.95}
    )
    prompts = [policy.prompt(text) for text in QUESTIONS]
    tokens, log_probs = sample_with_log_probs(policy, prompts, game, torch.Generator().manual_seed(4))
    assert len({len(row) for rows in tokens for row in rows}) > 1  # some end early: there is padding
    return [
        Scored(
            author=ALICE,
            question=QUESTION.model_copy(update={"text": text}),
            completions=tuple(policy.decode(row) for row in rows),
            rewards=rewards,
            tokens=tuple(map(tuple, rows)),
            log_probs=tuple(map(tuple, likely)),
            step=0,
        )
        for text, rewards, rows, likely in zip(QUESTIONS, REWARDS, tokens, log_probs, strict=True)
    ]


def ours(groups, step=0, **change):
    """Two iterations on the groups, sampled at step 0: what each pass found, and the loss of the second."""
    policy = policy_of_its_own()
    fixed = {"iterations": 2, "learning_rate": 3e-4, "max_gradient_norm": EVERYTHING, "micro_groups": 2}
    settings = SETTINGS.learner.model_copy(update={**fixed, **change})
    learner = Learner(policy, settings, temperature=TEMPERATURE, max_new_tokens=LENGTH)
    passes = []

    def note(*_):
        named = dict(policy.model.named_parameters())
        weights = {name: weight.detach().clone() for name, weight in named.items()}
        passes.append(Pass(weights, {name: weight.grad.clone() for name, weight in named.items()}))

    learner.optimizer.register_step_pre_hook(note)
    return passes, learner.update(groups, step)


def trl(groups, folder, *, loss, beta, scale_rewards):
    """A GRPOTrainer and its batch, made of the same tokens and rewards by the code it trains with."""
    from datasets import Dataset  # here: every worker imports this file, and one runs it
    from trl import GRPOConfig, GRPOTrainer

    prompts = [f"question {index}" for index in range(len(groups)) for _ in range(G)]
    rewards = [reward for group in groups for reward in group.rewards]

    def rollouts(asked, trainer):
        assert asked == prompts
        tokens = [list(row) for group in groups for row in group.tokens]
        tokenized = [policy.prompt(group.question.text) for group in groups for _ in range(G)]
        return {"prompt_ids": tokenized, "completion_ids": tokens, "logprobs": None}

    policy = policy_of_its_own()
    trainer = GRPOTrainer(
        model=policy.model,
        processing_class=AutoTokenizer.from_pretrained(EMBEDDED),
        reward_funcs=lambda completions, **_: rewards,
        train_dataset=Dataset.from_dict({"prompt": prompts[::G]}),
        rollout_func=rollouts,
        args=GRPOConfig(
            output_dir=str(folder),
            loss_type=loss,
            beta=beta,
            scale_rewards=scale_rewards,
            epsilon=SETTINGS.learner.epsilon,
            epsilon_high=SETTINGS.learner.epsilon_high,
            num_iterations=2,
            num_generations=G,
            per_device_train_batch_size=len(prompts),
            max_completion_length=LENGTH,
            temperature=TEMPERATURE,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
        ),
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return trainer, trainer._generate_and_score_completions([{"prompt": prompt} for prompt in prompts])


def by_trl(trainer, batch, weights):
    """TRL's loss and gradients at these weights."""
    trainer.model.load_state_dict(weights, strict=False)
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in trainer.model.named_parameters()}


def apart(one, other):
    """The largest difference of any weight's gradient."""
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize(("loss", "beta", "scale_rewards"), GRID)
def test_loss_and_gradients_are_those_of_trl_while_clipping_binds(groups, tmp_path, loss, beta, scale_rewards):
    change = {"loss": loss, "beta": beta, "scale_rewards": scale_rewards}
    (first, second), update = ours(groups, **change)
    trainer, batch = trl(groups, tmp_path, **change)

    _, expected = by_trl(trainer, batch, first.weights)
    assert apart(first.gradients, expected) < 1e-5
    assert trainer._metrics["train"]["clip_ratio/region_mean"][-1] == 0  # a ratio of one

    expected_loss, expected = by_trl(trainer, batch, second.weights)
    assert update.loss == pytest.approx(expected_loss, abs=1e-5)
    assert apart(second.gradients, expected) < 1e-5
    assert update.clipped == pytest.approx(trainer._metrics["train"]["clip_ratio/region_mean"][-1], abs=1e-6)
    assert update.clipped > 0.1
    if beta:
        assert update.kl == pytest.approx(trainer._metrics["train"]["kl"][-1], abs=1e-5)
        assert update.kl > 0.1

    (_, unclipped), _ = ours(groups, **change, epsilon=1 - 1e-9, epsilon_high=EVERYTHING)
    assert apart(second.gradients, unclipped.gradients) > 1e-3


def elsewhere(log_probs):
    """Log-probabilities of another policy than the one these are of."""
    return tuple(value - 0.3 * (-1) ** place for place, value in enumerate(log_probs))


def test_late_work_is_what_trl_makes_of_the_log_probs_of_the_policy_that_sampled(groups, tmp_path):
    change = {"loss": "dapo", "beta": 0.0, "scale_rewards": "none"}
    moved = [replace(group, log_probs=tuple(map(elsewhere, group.log_probs))) for group in groups]
    (first, _), _ = ours(moved, step=1, **change)
    (fresh, _), _ = ours(moved, step=0, **change)
    trainer, batch = trl(moved, tmp_path, **change)
    noted = [torch.tensor(row) for group in moved for row in group.log_probs]
    batch["old_per_token_logps"] = torch.nn.utils.rnn.pad_sequence(noted, batch_first=True)
    _, expected = by_trl(trainer, batch, first.weights)
    assert apart(first.gradients, expected) < 1e-5
    assert trainer._metrics["train"]["clip_ratio/region_mean"][-1] > 0.1
    assert apart(first.gradients, fresh.gradients) > 1e-3
