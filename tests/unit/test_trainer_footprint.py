"""What a model takes and what a machine has, from numbers alone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from services.trainer.model.footprint import (
    GIB,
    MOST,
    Shape,
    cache_bytes,
    gib,
    logits_bytes,
    shape_of,
    token_bytes,
    update_footprint,
)
from services.trainer.model.hardware import host_memory
from shared.cgroup import Share

QWEN = Shape(
    parameters=596_049_920, layers=28, hidden=1024, intermediate=3072, queries=2048, keys=1024, vocabulary=151_936
)
PLAIN = replace(QWEN, packed=False)


def test_weights_gradients_and_moments_are_sixteen_bytes_a_parameter():
    found = update_footprint(QWEN, 1, 1, prompt_tokens=0, recompute=False)
    added = 4 * QWEN.vocabulary * QWEN.hidden  # the embedding's gradient of a pass, beside that of all passes so far
    assert found.weights + found.gradients + found.moments == 16 * QWEN.parameters + added
    assert found.total - found.activations == 16 * QWEN.parameters + added
    assert found.activations == token_bytes(QWEN) + logits_bytes(QWEN, 1)


def test_activations_grow_with_every_token_sampled_and_with_the_prompt_once():
    one, eight = (update_footprint(QWEN, many, 12, recompute=False) for many in (1, 8))
    assert eight.activations - one.activations == 7 * 12 * token_bytes(QWEN) + logits_bytes(QWEN, 7 * 12)
    longer = update_footprint(QWEN, 8, 12, prompt_tokens=356, recompute=False)
    assert longer.activations - eight.activations == 100 * token_bytes(QWEN)


def test_logits_of_more_tokens_come_in_pieces_and_the_plain_way_holds_them_all():
    assert logits_bytes(QWEN, 10) == 10 * 4 * 4 * QWEN.vocabulary
    assert logits_bytes(QWEN, 200) == logits_bytes(QWEN, 100_000) == 4 * 4 * MOST
    assert logits_bytes(PLAIN, 100_000) == 10_000 * logits_bytes(PLAIN, 10)


def test_of_layers_that_are_computed_again_only_what_they_begin_with_is_kept():
    again, kept = token_bytes(QWEN, recompute=True), token_bytes(QWEN)
    assert again == 28 * 1024 * 4 + kept * 3 // 28
    assert update_footprint(QWEN, 8, 512).total < update_footprint(QWEN, 8, 512, recompute=False).total / 2
    assert update_footprint(PLAIN, 8, 512) == update_footprint(PLAIN, 8, 512, recompute=False)  # they are not there


def test_bfloat16_halves_what_a_token_takes_and_keeps_a_copy_of_the_weights():
    assert token_bytes(QWEN, 2) * 2 == token_bytes(QWEN)
    half = update_footprint(QWEN, 1, 1, prompt_tokens=0, width=2, recompute=False)
    assert half.activations == token_bytes(QWEN, 2) + logits_bytes(QWEN, 1) + 2 * QWEN.parameters
    assert half.weights == 4 * QWEN.parameters
    again = update_footprint(QWEN, 1, 1, prompt_tokens=0, width=2)  # a layer's copy is gone with the layer
    assert again.activations < 2 * 2 * QWEN.vocabulary * QWEN.hidden


def test_the_cache_holds_a_key_and_a_value_of_each_layer():
    assert cache_bytes(QWEN, 10) == 2 * 28 * 1024 * 10 * 4
    assert cache_bytes(QWEN, 10, 2) * 2 == cache_bytes(QWEN, 10)


def test_a_shape_is_read_from_a_config_that_tells_all_and_from_one_that_tells_little():
    told = SimpleNamespace(hidden_size=1024, num_hidden_layers=28, num_attention_heads=16, vocab_size=151_936)
    full = SimpleNamespace(
        **vars(told), model_type="qwen3", head_dim=128, intermediate_size=3072, num_key_value_heads=8
    )
    assert shape_of(full, QWEN.parameters) == QWEN
    assert not shape_of(told, 7).packed
    little = shape_of(told, 7)
    assert (little.intermediate, little.queries, little.keys) == (4096, 1024, 1024)


def test_sizes_are_told_in_gibibytes():
    assert gib(12 * GIB + GIB // 3) == "12.3 GiB"


@pytest.mark.parametrize(
    ("told", "share", "limit", "free"),
    [
        ({"MemTotal": 16 * GIB, "MemAvailable": 10 * GIB}, None, 16, 11),
        ({"MemTotal": 16 * GIB}, None, 16, 16),  # a Mac
        ({"MemTotal": 16 * GIB, "MemAvailable": 10 * GIB}, Share(limit=4 * GIB, used=2 * GIB), 4, 3),
        ({"MemTotal": 16 * GIB, "MemAvailable": GIB}, Share(limit=4 * GIB, used=2 * GIB), 4, 2),  # others fill the host
        ({"MemTotal": 16 * GIB, "MemAvailable": 10 * GIB}, Share(limit=4 * GIB, used=6 * GIB), 4, 0),
        ({"MemTotal": 16 * GIB, "MemAvailable": 10 * GIB}, Share(limit=2**63, used=GIB), 16, 11),  # v1 without a limit
    ],
)
def test_the_container_or_the_machine_bounds_what_a_model_may_use(told, share, limit, free):
    found = host_memory(told, share, own=GIB)
    assert (found.kind, found.limit, found.free) == ("cpu", limit * GIB, free * GIB)
