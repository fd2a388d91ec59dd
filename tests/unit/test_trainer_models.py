"""Which model a peer is given for its hardware, and which does not fit."""

from pathlib import Path

import pytest

from services.trainer.model.footprint import GIB, Shape
from services.trainer.model.hardware import Memory
from services.trainer.model.models import LARGE, SMALL, in_order, least, pool, too_large, usual
from services.trainer.model.sizes import table
from services.trainer.settings import TrainerSettings
from shared.settings import load
from tests.examples import ALICE, BOB

SMALLER, SMALL_ONE = SMALL


def memory(kind, size):
    return Memory(kind, limit=size * GIB, free=size * GIB)


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("cuda", 80, LARGE),
        ("cuda", 40, LARGE),
        ("cuda", 39, SMALL),
        ("cuda", 16, SMALL),
        ("cpu", 64, SMALL),  # a CPU with much memory is still a CPU
        ("cpu", 16, SMALL),
        ("cpu", 9, (SMALLER,)),
        ("cpu", 4, ()),  # the containers' default: the embedded model
        ("cuda", 6, ()),
    ],
)
def test_the_hardware_decides_the_pool(kind, size, expected):
    assert tuple(pool(memory(kind, size))) == expected


@pytest.mark.parametrize("candidates", [SMALL, LARGE])
def test_a_peer_always_gets_the_same_of_its_pool_and_a_swarm_has_all(candidates):
    names = {one.name for one in candidates}
    assert in_order(candidates, ALICE) == in_order(candidates, ALICE)
    assert set(in_order(candidates, BOB)) == names
    firsts = [in_order(candidates, f"peer{number}")[0] for number in range(300)]
    assert min(firsts.count(name) for name in names) > 60
    assert in_order([], ALICE) == []


def test_what_cannot_be_trained_even_on_one_short_answer_is_refused_with_numbers():
    shape = SMALL_ONE.shape
    why = too_large(shape, memory("cpu", 4))
    assert why == (
        "it takes at least 9.9 GiB (weights 2.2 GiB, gradients 2.8 GiB, optimizer 4.4 GiB, one answer 0.4 GiB),"
        " and this machine or container has 4.0 GiB"
    )
    assert too_large(shape, memory("cpu", 11)) is None
    assert "this GPU has 8.0 GiB" in too_large(shape, memory("cuda", 8))


@pytest.mark.parametrize("where", [memory("cpu", 16), memory("cuda", 16)])
def test_the_least_is_less_than_the_usual(where):
    for one in (*SMALL, *LARGE):
        assert least(one.shape, where).total < usual(one.shape, where).total


def test_a_shape_of_the_pool_holds_the_parameters_it_says():
    """Embeddings, attention and MLPs are all but the norms and biases."""
    for one in (*SMALL, *LARGE):
        s: Shape = one.shape
        layer = s.hidden * (2 * s.queries + 2 * s.keys + 3 * s.intermediate)
        assert 0 <= s.parameters - (s.vocabulary * s.hidden + s.layers * layer) < s.parameters / 1000


def test_settings_that_nobody_made_fit_the_model_that_is_chosen(monkeypatch):
    for name in ("MODEL_NAME", "LEARNING_RATE", "MAX_NEW_TOKENS"):
        monkeypatch.delenv(name, raising=False)
    open_, given = load("trainer", TrainerSettings), load("trainer", TrainerSettings, ["game.max_new_tokens=99"])
    assert open_.policy.model == "auto"
    assert open_.game == load("trainer", TrainerSettings, ["policy.model=embedded"]).game
    hub = load("trainer", TrainerSettings, ["policy.model=a/b"])
    assert open_.for_model("a/b").model_dump(exclude={"left_open"}) == hub.model_dump(exclude={"left_open"})
    assert hub.for_model("embedded").learner == open_.learner
    assert given.for_model("a/b").game.max_new_tokens == 99
    assert given.for_model("a/b").learner == hub.learner


def test_the_documented_table_is_what_the_formula_says():
    assert table() in (Path(__file__).parents[2] / "docs" / "models.md").read_text()
