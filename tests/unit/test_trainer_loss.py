import math

import pytest
import torch

from services.trainer.forward.padding import left_pad, positions, right_pad
from services.trainer.learning.loss import Scale, binding, divergence, grpo_loss

EPSILON = {"epsilon": 0.2, "epsilon_high": 0.28}
SCALE = Scale(completions=2, tokens=5, max_length=4)
MASK = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
ADVANTAGES = torch.tensor([1.0, -0.5])


def loss(ratio, kind):
    now = torch.tensor(ratio).log().requires_grad_()
    value = grpo_loss(now, torch.zeros_like(now), ADVANTAGES, MASK, kind=kind, scale=SCALE, **EPSILON)
    value.backward()
    return value.item(), now.grad


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("grpo", -(1.0 - 0.5) / 2),  # mean of the completions' mean
        ("dapo", -(3 * 1.0 - 2 * 0.5) / 5),  # all tokens alike
        ("dr_grpo", -(3 * 1.0 - 2 * 0.5) / (2 * 4)),  # a constant, whatever the lengths
    ],
)
def test_the_loss_types_differ_in_what_they_divide_by(kind, expected):
    assert loss([[1.0, 1, 1], [1, 1, 1]], kind)[0] == pytest.approx(expected)


def test_a_ratio_of_one_gives_the_plain_policy_gradient():
    _, gradient = loss([[1.0, 1, 1], [1, 1, 1]], "dapo")
    assert torch.allclose(gradient, -ADVANTAGES[:, None] * MASK / 5)


def test_clipping_stops_the_gradient_on_the_side_that_went_too_far():
    _, gradient = loss([[1.3, 1.27, 0.5], [0.7, 1.5, 1]], "dapo")
    assert gradient[0, 0] == 0 and gradient[0, 1] < 0 and gradient[0, 2] < 0  # 1.28 is the upper bound
    assert gradient[1, 0] == 0 and gradient[1, 1] > 0  # a bad token is pushed down from above, not from below 0.8


def test_clipping_binds_where_it_stops_the_gradient():
    ratio = torch.tensor([[1.3, 1.27, 0.5], [0.7, 1.5, 0.1]])
    bound = binding(ratio.log(), torch.zeros(2, 3), ADVANTAGES, MASK, **EPSILON)
    assert bound.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_the_divergence_is_never_negative_and_zero_for_the_same_model():
    one, other = torch.tensor([[-1.0, -2.0, -300.0]]), torch.tensor([[-1.0, -2.5, -1.0]])
    old = torch.tensor([[-1.5, -1.0, -1.0]])
    kl = divergence(one, old, other, torch.tensor([[1.0, 1.0, 0.0]]))
    assert kl[0, 0] == 0 and kl[0, 2] == 0
    assert kl[0, 1].item() == pytest.approx(math.exp(-1) * (math.exp(-0.5) + 0.5 - 1))  # rarer by e than when drawn


def test_beta_pulls_back_to_the_reference_model():
    now = torch.tensor([[-2.0, -1.0]], requires_grad=True)
    reference, mask = torch.tensor([[-1.0, -1.0]]), torch.ones(1, 2)
    scale = Scale(completions=1, tokens=2, max_length=2)
    value = grpo_loss(
        now, now.detach(), torch.zeros(1), mask, kind="dapo", scale=scale, reference=reference, beta=0.1, **EPSILON
    )
    value.backward()
    assert value.item() == pytest.approx(0.1 * (math.e - 1 - 1) / 2)
    # The gradient of ratio * k3: k3 - (e^(reference - now) - 1); negative where the reference finds the token likelier.
    assert now.grad[0].tolist() == pytest.approx([-0.1 / 2, 0.0])


def test_padding_counts_for_nothing():
    one, gradient = loss([[1.0, 1, 1], [1, 1, 1]], "grpo")
    other, _ = loss([[1.0, 1, 1], [1, 1, math.e]], "grpo")
    assert one == other and gradient[1, 2] == 0


def test_micro_batches_add_up_to_the_whole_batch():
    now, old = torch.randn(4, 3), torch.randn(4, 3)
    mask, gain = torch.ones(4, 3), torch.randn(4)
    scale = Scale(completions=4, tokens=12, max_length=9)
    for kind in ("grpo", "dapo", "dr_grpo"):
        whole = grpo_loss(now, old, gain, mask, kind=kind, scale=scale, **EPSILON)
        rows = (slice(0, 1), slice(1, 4))
        parts = [grpo_loss(now[r], old[r], gain[r], mask[r], kind=kind, scale=scale, **EPSILON) for r in rows]
        assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)


def test_padding_is_on_the_side_it_should_be():
    ids, mask = left_pad([[1, 2, 3], [4]], 0, torch.device("cpu"))
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]] and mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert positions(mask).tolist() == [[0, 1, 2], [0, 0, 0]]
    ids, mask = right_pad([[1, 2, 3], [4]], 0, torch.device("cpu"))
    assert ids.tolist() == [[1, 2, 3], [4, 0, 0]] and mask.tolist() == [[1, 1, 1], [1, 0, 0]]
