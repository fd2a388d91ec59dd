"""The memory that a model is said to take, against what torch really keeps."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from services.trainer.learning.learner import Batch, Learner
from services.trainer.model import preflight
from services.trainer.model.footprint import GIB, shape_of, update_footprint
from services.trainer.model.hardware import measure
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.settings import load

SETTINGS = load("trainer", TrainerSettings)
PROMPT, NEW, G = 32, 64, 8
LENGTHS = 256, 2048  # tokens of an answer


def policy_of(**shape):
    """A policy of the embedded model's kind with another, untrained model in it."""
    policy = Policy(SETTINGS.policy)
    config = Qwen3Config(tie_word_embeddings=True, head_dim=32, **shape)
    policy.model = AutoModelForCausalLM.from_config(config).float()
    return policy


def kept_for_backward(policy, completions):
    """Bytes that autograd keeps after a forward pass, weights not counted."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in policy.model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = tensor  # held, so that no other takes its address
        return tensor

    learner = Learner(policy, SETTINGS.learner, temperature=1.0, max_new_tokens=NEW)
    batch = Batch([[1] * PROMPT], [[2] * NEW] * completions, [0] * completions, [])
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        learner.log_probs(batch)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("completions", [1, G])
@pytest.mark.parametrize(
    ("hidden", "layers", "intermediate", "heads", "groups"),
    [(128, 4, 384, 4, 2), (256, 2, 768, 8, 4), (128, 4, 768, 8, 8)],
)
def test_the_formula_is_what_autograd_keeps(hidden, layers, intermediate, heads, groups, completions):
    policy = policy_of(
        hidden_size=hidden, num_hidden_layers=layers, intermediate_size=intermediate, num_attention_heads=heads,
        num_key_value_heads=groups, vocab_size=512,
    )  # fmt: skip
    parameters = sum(parameter.numel() for parameter in policy.model.parameters())
    shape = shape_of(policy.model.config, parameters)
    told = update_footprint(shape, completions, NEW, prompt_tokens=PROMPT, recompute=False)
    assert 0.7 < kept_for_backward(policy, completions) / told.activations <= 1.1


@pytest.mark.parametrize("recompute", [False, True])
def test_the_peak_of_a_backward_pass_grows_as_calculated(recompute):
    policy = policy_of(
        hidden_size=512, num_hidden_layers=8, intermediate_size=1536, num_attention_heads=16, num_key_value_heads=8,
        vocab_size=4096,
    )  # fmt: skip
    parameters = sum(parameter.numel() for parameter in policy.model.parameters())
    shape = shape_of(policy.model.config, parameters)
    calculated = [update_footprint(shape, 1, tokens, recompute=recompute).activations for tokens in LENGTHS]
    few, many = (preflight._peak(policy, tokens, recompute=recompute) for tokens in LENGTHS)
    assert 0.6 < (many - few) / (calculated[1] - calculated[0]) < 1.4


def test_this_machine_has_memory_and_less_of_it_is_free():
    found = measure(torch.device("cpu"))
    assert found.kind == "cpu"
    assert GIB // 4 < found.free <= found.limit


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_tells_its_own():
    found = measure(torch.device("cuda"))
    assert found.kind == "cuda"
    assert GIB < found.free <= found.limit
