"""The quick way through a model gives what the model's own forward gives: log-probabilities, gradients, samples."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, GPT2Config, LlamaConfig, Qwen2Config, Qwen3Config

from services.trainer.forward import likelihood
from services.trainer.forward.decoder import Decoder
from services.trainer.forward.likelihood import packed_log_probs, padded_log_probs
from services.trainer.forward.sampling import sample_with_log_probs
from services.trainer.learning.batches import Batch
from services.trainer.settings import TrainerSettings
from shared.settings import load

GAME = load("trainer", TrainerSettings).game.model_copy(update={"completions": 3, "max_new_tokens": 12})
SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": [1, 2],
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1e4,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
FAMILY = {
    "qwen3": Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SHAPE),  # with a bias
    "llama": LlamaConfig(**SHAPE, rope_parameters=LLAMA3, attention_bias=True),
}
# Six prompts and answers of many lengths; an answer of one token, and one prompt that nobody answers.
PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [12], [13, 14, 15], [16, 17]]
ANSWERS = [[3, 4, 5, 1], [9], [7, 7, 7, 7, 7, 7, 2], [20, 21], [22, 2]]
OWNER = [0, 0, 1, 2, 2]


def policy_of(config):
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():  # as initialised, biases are 0 and all tokens about as likely
        torch.nn.init.normal_(parameter, std=0.3)
    return SimpleNamespace(
        model=model,
        device=torch.device("cpu"),
        pad_id=0,
        reduced=False,
        samples_reduced=False,
        prompts_at_once=0,
        end_ids=[1, 2],
        autocast=lambda **_: torch.autocast("cpu", enabled=False),
    )


def gradient(model, value):
    model.zero_grad()
    value.backward()
    return torch.cat([torch.zeros(0), *(p.grad.flatten() for p in model.parameters() if p.grad is not None)])


def both_ways(policy, temperature=0.8, **named):
    batch = Batch(PROMPTS, ANSWERS, OWNER, [0.0] * 5)
    found = []
    for log_probs, mask in (
        padded_log_probs(policy, policy.model, batch, temperature),
        packed_log_probs(policy, Decoder.of(policy.model), batch, temperature, **named),
    ):
        weighted = (log_probs * mask * torch.linspace(-1, 1, 7)).sum()
        found.append((log_probs * mask, mask, gradient(policy.model, weighted)))
    return found


@pytest.mark.parametrize("name", FAMILY)
def test_log_probs_and_gradients_are_those_of_the_models_own_forward(name):
    (plain, mask, slope), (quick, same_mask, same_slope) = both_ways(policy_of(FAMILY[name]))
    assert torch.equal(mask, same_mask) and mask.sum() == sum(map(len, ANSWERS))
    assert torch.allclose(plain, quick, atol=1e-5)
    assert (slope - same_slope).norm() / slope.norm() < 1e-5


def test_a_large_vocabulary_is_computed_in_pieces_with_the_same_result(monkeypatch):
    monkeypatch.setattr(likelihood, "MOST", 3 * SHAPE["vocab_size"])
    (plain, _, slope), (quick, _, same_slope) = both_ways(policy_of(FAMILY["qwen3"]))
    assert torch.allclose(plain, quick, atol=1e-5)
    assert (slope - same_slope).norm() / slope.norm() < 1e-5


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("reduced", [False, True])
def test_layers_computed_again_give_the_same_to_the_last_bit(name, reduced):
    policy = policy_of(FAMILY[name])
    if reduced:
        policy.autocast = lambda **_: torch.autocast("cpu", dtype=torch.bfloat16)
    (_, kept), (_, again) = both_ways(policy), both_ways(policy, recompute=True)
    assert torch.equal(kept[0], again[0])
    assert torch.equal(kept[2], again[2]) and again[2].norm() > 0


def test_in_bfloat16_log_probs_and_gradients_are_near_those_in_float32():
    (plain, _, slope), _ = both_ways(policy_of(FAMILY["qwen3"]))
    policy = policy_of(FAMILY["qwen3"])
    policy.samples_reduced, policy.autocast = True, lambda **_: torch.autocast("cpu", dtype=torch.bfloat16)
    _, (rough, _, rough_slope) = both_ways(policy)
    assert 0 < (plain - rough).abs().max() < 0.1
    assert torch.cosine_similarity(slope, rough_slope, dim=0) > 0.999
    tokens, noted = sample_with_log_probs(policy, PROMPTS, GAME, torch.Generator().manual_seed(5))
    batch = Batch(PROMPTS, [row for group in tokens for row in group], [k // 3 for k in range(12)], [0.0] * 12)
    found, _ = packed_log_probs(policy, Decoder.of(policy.model), batch, GAME.temperature)
    for row, values in zip(found, (row for group in noted for row in group), strict=True):
        assert torch.allclose(row[: len(values)], torch.tensor(values), atol=0.1)


@pytest.mark.parametrize("name", FAMILY)
def test_the_same_generator_draws_the_same_tokens_both_ways(name, monkeypatch):
    policy = policy_of(FAMILY[name])
    quick = sample_with_log_probs(policy, PROMPTS, GAME, torch.Generator().manual_seed(5))
    monkeypatch.setattr(Decoder, "of", classmethod(lambda cls, model: None))
    plain = sample_with_log_probs(policy, PROMPTS, GAME, torch.Generator().manual_seed(5))
    assert quick[0] == plain[0]
    lengths = [len(row) for group in quick[0] for row in group]
    assert len(set(lengths)) > 3  # some ended early, and left the batch
    flat = [[value for group in way[1] for row in group for value in row] for way in (quick, plain)]
    assert flat[0] == pytest.approx(flat[1], abs=1e-5)


@pytest.mark.parametrize("name", FAMILY)
def test_the_likeliest_tokens_are_those_of_transformers_generate(name):
    policy = policy_of(FAMILY[name])
    tokens, _ = sample_with_log_probs(policy, PROMPTS, GAME, None)
    for prompt, (row,) in zip(PROMPTS, tokens, strict=True):
        expected = policy.model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12, pad_token_id=0)
        assert row == expected[0, len(prompt) :].tolist()


def test_models_with_other_parts_go_the_plain_way():
    small = {key: SHAPE[key] for key in ("vocab_size", "hidden_size", "num_attention_heads", "num_key_value_heads")}
    sliding = Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=4, max_window_layers=0)
    others = [
        GPT2Config(vocab_size=40, n_embd=32, n_layer=1, n_head=2),
        Gemma3TextConfig(**small, intermediate_size=48, num_hidden_layers=1, head_dim=8),
        sliding,
        LlamaConfig(**SHAPE, hidden_act="gelu"),
        Qwen3Config(**SHAPE, attention_dropout=0.1),
    ]
    for config in others:
        assert Decoder.of(AutoModelForCausalLM.from_config(config)) is None
