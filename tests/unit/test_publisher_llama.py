"""What of a model can be written for llama.cpp, how, and how near a file has to be. Without llama.cpp."""

import json
from itertools import pairwise

import numpy as np
import pytest

from services.publisher.llama.shape import Unsupported, shape_of
from services.publisher.llama.tolerance import KINDS, TOLERANCES, Comparison, share
from services.publisher.llama.vocabulary import CONTROL, NORMAL, UNUSED, USER_DEFINED, rule_of, vocabulary_of
from services.trainer.model.models import BUILT_IN

CONFIG = {
    "model_type": "qwen3", "max_position_embeddings": 1024, "hidden_size": 128, "num_hidden_layers": 3, "vocab_size": 9,
    "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
}  # fmt: skip
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BYTES = {"type": "ByteLevel", "use_regex": False}
TOKENIZER = {
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": QWEN}}, BYTES]},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    "added_tokens": [
        {"id": 3, "content": "<end>", "special": True},
        {"id": 4, "content": "a phrase", "special": False},
    ],
}


def test_a_shape_is_read_from_new_and_old_configs():
    shape = shape_of(CONFIG)
    assert (shape.architecture, shape.head_length, shape.rope_freq_base, shape.vocabulary) == ("qwen3", 32, 1e4, 9)
    old = {
        key: value for key, value in CONFIG.items() if key not in ("head_dim", "rope_parameters", "num_key_value_heads")
    }
    shape = shape_of({**old, "model_type": "qwen2", "rope_theta": 1e6})
    assert (shape.head_length, shape.head_count_kv, shape.rope_freq_base) == (32, 4, 1e6)
    assert shape_of({**old, "model_type": "llama"}).rope_freq_base == 1e4


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model_type": "gpt2"}, "architecture, gpt2"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"model_type": "llama", "attention_bias": True}, "biases"),
        ({"model_type": "llama", "mlp_bias": True}, "biases"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "scaled"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "scaled"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(change, why):
    with pytest.raises(Unsupported, match=why):
        shape_of({**CONFIG, **change})


def test_a_config_that_lacks_a_size_is_refused():
    with pytest.raises(Unsupported, match="hidden_size"):
        shape_of({key: value for key, value in CONFIG.items() if key != "hidden_size"})


def test_tokens_have_their_kinds_and_the_rest_of_the_embedding_is_unused():
    found = vocabulary_of(TOKENIZER, 6)
    assert found.tokens == ("a", "b", "ab", "<end>", "a phrase", "[PAD5]")
    assert found.kinds == (NORMAL, NORMAL, NORMAL, CONTROL, USER_DEFINED, UNUSED)
    assert (found.merges, found.rule) == (("a b",), "qwen2")
    old = {**TOKENIZER, "model": {**TOKENIZER["model"], "merges": ["a b"]}, "added_tokens": None}
    assert vocabulary_of(old, 3).merges == ("a b",)
    with pytest.raises(Unsupported, match="no row"):
        vocabulary_of(TOKENIZER, 4)


@pytest.mark.parametrize("model", [{"type": "Unigram"}, {"type": "BPE", "byte_fallback": True}, None])
def test_another_kind_of_tokenizer_is_refused(model):
    with pytest.raises(Unsupported, match="byte-level"):
        vocabulary_of({**TOKENIZER, "model": model}, 6)


def test_only_a_rule_that_llama_cpp_has_is_written():
    split = {"type": "Split", "pattern": {"Regex": QWEN.replace(r"\p{N}|", r"\p{N}{1,3}|")}}
    assert rule_of({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, BYTES]}}) == "llama-bpe"
    assert rule_of({"pre_tokenizer": {"type": "ByteLevel", "use_regex": True}}) == "gpt-2"
    digits = {"type": "Digits"}
    for splitter in (None, BYTES, {"pretokenizers": [split, digits, BYTES]}, {"pretokenizers": [digits, BYTES]}):
        with pytest.raises(Unsupported, match="by a rule that"):
            rule_of({"pre_tokenizer": splitter})


def test_the_embedded_model_can_be_written():
    from services.trainer.model.choice import EMBEDDED

    assert EMBEDDED.name == BUILT_IN
    shape = shape_of(json.loads((EMBEDDED / "config.json").read_text()))
    found = vocabulary_of(json.loads((EMBEDDED / "tokenizer.json").read_text()), shape.vocabulary)
    assert (found.rule, len(found.tokens), UNUSED in found.kinds) == ("qwen2", 1034, False)


def compared(**changes):
    told = {"tokens": 100, "agreement": 1.0, "divergence": 0.0, "largest": 0.1, "same_answers": 8, "answers": 8}
    return Comparison(**{**told, "same_prompts": 8, **changes})


def test_fewer_bits_may_be_farther_from_the_model():
    for more, less in pairwise(KINDS):
        assert TOLERANCES[more].agreement > TOLERANCES[less].agreement
        assert TOLERANCES[more].divergence < TOLERANCES[less].divergence
    for kind in KINDS:
        assert compared().fault(kind) is None
        assert "nats" in compared(divergence=9.0).fault(kind)
        assert "nats" in compared(divergence=float("nan")).fault(kind)
        assert "are needed" in compared(agreement=0.1).fault(kind)
    assert (compared().splits_alike, compared(same_prompts=7).splits_alike) == (True, False)
    assert (share([]), share([True, False])) == (0.0, 0.5)


def test_logits_are_compared_as_distributions():
    from services.publisher.llama.export import comparison, divergence
    from services.publisher.llama.reference import Reference

    logits = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]], dtype=np.float32)
    assert divergence(logits, logits + 5.0) == pytest.approx([0.0, 0.0], abs=1e-9), "a constant changes nothing"
    assert (divergence(logits, -logits) > 1).all()
    asked = [Reference("text", [7, 8], [1, 0], logits)]
    other = np.array([[0.0, 2.0, 1.0], [0.0, 3.0, 0.0]], dtype=np.float32)
    found = comparison(asked, {"logits_0": other, "greedy_0": np.array([1, 0]), "split_0": np.array([7, 9])})
    assert (found.tokens, found.agreement, found.largest) == (2, 0.5, 3.0)
    assert (found.same_answers, found.answers, found.same_prompts) == (1, 1, 0)
