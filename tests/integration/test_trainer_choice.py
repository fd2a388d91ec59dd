"""Which model a trainer comes to train: against a small hub on this machine, and against none."""

import json
import logging
import time

import pytest

from services.trainer.model.choice import EMBEDDED, locate, planned_shape, settle
from services.trainer.model.footprint import GIB
from services.trainer.model.hardware import Memory
from services.trainer.model.hub import HubError, fetch, fetch_config, held_bytes, kept
from services.trainer.model.models import LARGE, SMALL, in_order
from services.trainer.model.policy import Policy
from services.trainer.settings import TrainerSettings
from shared.errors import SettingsError
from shared.health import Health
from shared.queue.memory import MemoryQueue, MemoryStore
from shared.runtime import Context
from shared.settings import load
from tests.examples import ALICE
from tests.hub_kit import serve, silent, use

NOBODY = "http://127.0.0.1:9"
POOL = {one.name: EMBEDDED for one in (*SMALL, *LARGE)}  # their names, with files that are quickly loaded
FIRST, SECOND = in_order(SMALL, ALICE)


@pytest.fixture
def settings(monkeypatch):
    """A trainer that nobody told which model, on a laptop of 16 GiB without a GPU."""
    monkeypatch.delenv("MODEL_NAME", raising=False)
    monkeypatch.setattr("services.trainer.model.choice.measure", lambda _: Memory("cpu", 16 * GIB, 12 * GIB))
    return load("trainer", TrainerSettings, ["policy.cpu_only=true"])


@pytest.fixture
def context():
    return Context(MemoryQueue(), MemoryStore(), Health("trainer", "one", 60))


def named(settings, model):
    return settings.policy.model_copy(update={"model": model})


def big_model(folder, **change):
    """A folder that says it holds a model of eight thousand million parameters."""
    config = json.loads((EMBEDDED / "config.json").read_text())
    del config["layer_types"]
    sizes = {"hidden_size": 4096, "intermediate_size": 12_288, "num_hidden_layers": 36, "vocab_size": 151_936}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config | sizes | {"num_attention_heads": 32, "head_dim": 128}))
    (folder / "model.safetensors").write_bytes(b"never to be read")
    return folder


def test_a_model_of_the_hub_is_fetched_once_and_is_there_without_the_hub(settings, tmp_path, monkeypatch):
    with serve({"me/tiny": EMBEDDED}) as hub:
        use(monkeypatch, hub.url, tmp_path)
        assert kept("me/tiny") is None
        policy = Policy(named(settings, "me/tiny"))
        assert policy.name == "me/tiny"
        assert policy.size == Policy(named(settings, "embedded")).size
        asked = len(hub.asked)
        assert Policy(named(settings, "me/tiny")).size == policy.size
        assert len(hub.asked) == asked
    use(monkeypatch, NOBODY, tmp_path)
    assert locate(named(settings, "me/tiny")) == kept("me/tiny")


def test_a_model_of_which_only_a_part_is_here_is_not_here(tmp_path, monkeypatch):
    with serve({"me/tiny": EMBEDDED}) as hub:
        use(monkeypatch, hub.url, tmp_path)
        fetch_config("me/tiny", None)
        some = held_bytes("me/tiny")
        assert some > 0
        assert kept("me/tiny") is None
        folder = fetch("me/tiny", None)
        assert kept("me/tiny") == folder
        assert held_bytes("me/tiny") > some + (EMBEDDED / "model.safetensors").stat().st_size
        (folder / "model.safetensors").unlink()
        assert kept("me/tiny") is None


def test_a_model_with_weights_in_the_old_format_only_is_fetched_whole(tmp_path, monkeypatch):
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_bytes((EMBEDDED / "config.json").read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"weights")
    (empty := tmp_path / "empty").mkdir()
    with serve({"me/old": folder, "me/none": empty}) as hub:
        use(monkeypatch, hub.url, tmp_path / "cache")
        assert (fetch("me/old", None) / "pytorch_model.bin").read_bytes() == b"weights"
        assert kept("me/old") is not None
        with pytest.raises(HubError):
            fetch("me/none", None)


def test_a_model_that_cannot_fit_is_refused_before_its_weights_are_asked_for(settings, tmp_path, monkeypatch):
    with serve({"me/big": big_model(tmp_path / "big")}) as hub:
        use(monkeypatch, hub.url, tmp_path / "cache")
        with pytest.raises(SettingsError, match=r"takes at least 1\d\d\.\d GiB .* has 16\.0 GiB\. set MODEL_NAME"):
            locate(named(settings, "me/big"))
        assert hub.asked
        assert not any("safetensors" in path for path in hub.asked)
    with pytest.raises(SettingsError, match="does not fit"):
        locate(named(settings, str(tmp_path / "big")))
    assert locate(named(settings, str(tmp_path / "big")), trains=False) == tmp_path / "big", "to answer takes less"


def test_a_model_that_fits_only_when_others_make_room_is_tried_with_a_word(settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("services.trainer.model.choice.measure", lambda _: Memory("cpu", 999 * GIB, 12 * GIB))
    assert locate(named(settings, str(big_model(tmp_path / "big")))) == tmp_path / "big"
    assert "12.0 GiB are free now" in caplog.text


def test_the_size_of_an_unknown_kind_of_model_is_not_known(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "abacus"}')
    assert planned_shape(tmp_path) is None
    assert planned_shape(tmp_path / "nothing") is None
    (tmp_path / "config.json").write_text((EMBEDDED / "config.json").read_text().replace("3,", '"three",'))
    assert planned_shape(tmp_path) is None
    assert planned_shape(EMBEDDED).layers == 3


def test_a_hub_without_the_model_and_one_that_is_away_are_told_apart(settings, tmp_path, monkeypatch):
    with serve({}) as hub:
        use(monkeypatch, hub.url, tmp_path)
        with pytest.raises(SettingsError, match="nor a model of that name on the hub"):
            locate(named(settings, "me/tiny"))
    use(monkeypatch, NOBODY, tmp_path)
    with pytest.raises(HubError, match="the hub cannot be reached"):
        locate(named(settings, "me/tiny"))


async def test_unset_means_the_model_of_the_pool_that_is_the_peers_own_also_without_the_hub(
    settings, context, tmp_path, monkeypatch
):
    with serve(POOL) as hub:
        use(monkeypatch, hub.url, tmp_path)
        chosen = await settle(settings, context, ALICE)
        assert not any(SECOND in path for path in hub.asked)
    use(monkeypatch, NOBODY, tmp_path)
    again = await settle(settings, context, ALICE)
    assert (chosen.policy.model, again) == (FIRST, chosen)
    assert chosen.game.max_new_tokens == 512
    assert context.health.state()["degraded"] == {}


async def test_where_the_hub_is_away_and_nothing_is_here_the_embedded_model_is_trained_and_everybody_is_told(
    settings, context, tmp_path, monkeypatch, caplog
):
    use(monkeypatch, NOBODY, tmp_path)
    chosen = await settle(settings, context, ALICE)
    assert (chosen.policy.model, chosen.game.max_new_tokens) == ("embedded", 64)
    reason = context.health.state()["degraded"]["model"]
    assert f"the embedded model instead of {FIRST}" in reason[:80]
    assert "the hub cannot be reached" in reason
    told = [record.levelno for record in caplog.records if "embedded model instead" in record.message]
    assert told == [logging.WARNING]


async def test_a_hub_that_never_answers_holds_nobody_up(settings, context, tmp_path, monkeypatch):
    with silent() as url:
        use(monkeypatch, url, tmp_path, patience_s=1)
        began = time.monotonic()
        chosen = await settle(settings, context, ALICE)
    assert chosen.policy.model == "embedded"
    assert time.monotonic() - began < 20
    assert "model" in context.health.state()["degraded"]


async def test_another_model_of_the_pool_that_is_here_stands_in_for_the_peers_own(
    settings, context, tmp_path, monkeypatch
):
    with serve(POOL) as hub:
        use(monkeypatch, hub.url, tmp_path)
        fetch(SECOND, None)
    use(monkeypatch, NOBODY, tmp_path)
    assert (await settle(settings, context, ALICE)).policy.model == SECOND
    assert f"the {SECOND} model instead of {FIRST}" in context.health.state()["degraded"]["model"]


async def test_where_no_model_of_the_pool_fits_the_embedded_one_is_right_and_the_hub_is_not_asked(
    settings, context, tmp_path, monkeypatch
):
    monkeypatch.setattr("services.trainer.model.choice.measure", lambda _: Memory("cpu", 4 * GIB, 4 * GIB))
    with serve(POOL) as hub:
        use(monkeypatch, hub.url, tmp_path)
        assert (await settle(settings, context, ALICE)).policy.model == "embedded"
        assert hub.asked == []
    assert context.health.state()["degraded"] == {}


async def test_a_named_model_is_never_exchanged_for_another(settings, context, tmp_path, monkeypatch):
    use(monkeypatch, NOBODY, tmp_path)
    embedded, wanted = settings.for_model("embedded"), settings.for_model("me/tiny")
    assert await settle(embedded, context, ALICE) == embedded
    with pytest.raises(HubError):
        await settle(wanted, context, ALICE)
