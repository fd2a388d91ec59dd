from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import ServiceSettings, config_dir, load

CONFIG = """
defaults:
  - common
  - _self_
rate: ${env:LR_TEST,0.5}
deep:
  token: ${env:TOKEN_TEST,${env:OTHER_TOKEN_TEST,null}}
"""


class Deep(ServiceSettings):
    rate: float
    deep: dict[str, str | None]


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "thing.yaml").write_text(CONFIG)
    (tmp_path / "common.yaml").write_text((config_dir() / "common.yaml").read_text())
    monkeypatch.setenv("RLSWARM_CONFIG", str(tmp_path))
    return tmp_path


def test_defaults_come_from_the_file(config):
    settings = load("thing", Deep)
    assert (settings.rate, settings.deep, settings.swarm) == (0.5, {"token": None}, "home")


def test_the_environment_wins_over_the_file_and_an_override_over_both(config, monkeypatch):
    monkeypatch.setenv("LR_TEST", "0.25")
    assert load("thing", Deep).rate == 0.25
    assert load("thing", Deep, ["rate=0.125"]).rate == 0.125


@pytest.mark.parametrize("off", ["", "None", "  "])
def test_empty_and_none_mean_not_set(config, monkeypatch, off):
    monkeypatch.setenv("LR_TEST", off)
    monkeypatch.setenv("TOKEN_TEST", off)
    monkeypatch.setenv("OTHER_TOKEN_TEST", "secret")
    settings = load("thing", Deep)
    assert (settings.rate, settings.deep["token"]) == (0.5, "secret")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {"LR_TEST": "fast"}, ["rate", "LR_TEST", "fast", "environment"]),
        ([], {"HTTP_PORT": "99999"}, ["http_port", "HTTP_PORT", "99999"]),
        ([], {"SWARM_NAME": "No Spaces"}, ["swarm", "SWARM_NAME"]),
        (["speed=3"], {}, ["speed", "thing.yaml"]),
        (["+speed=3"], {}, ["no setting speed", "remove it"]),
        (["deep.token=[1"], {}, ["cannot be read"]),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name_and_the_remedy(config, monkeypatch, arguments, environment, words):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load("thing", Deep, arguments)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_setting_and_a_missing_file_are_named(config):
    (config / "thing.yaml").write_text("defaults: [common, _self_]\ndeep: {}\n")
    with pytest.raises(SettingsError, match=r"rate: field required.*thing\.yaml"):
        load("thing", Deep)
    with pytest.raises(SettingsError, match="RLSWARM_CONFIG"):
        load("nothing", Deep)


def test_a_broken_file_is_one_line(config):
    (config / "thing.yaml").write_text("defaults: [\n")
    with pytest.raises(SettingsError, match="cannot be read"):
        load("thing", Deep)


def test_the_config_folder_is_found_beside_the_packages(monkeypatch):
    monkeypatch.delenv("RLSWARM_CONFIG", raising=False)
    assert config_dir() == Path(__file__).parents[2] / "config"


def test_what_the_settings_leave_open_fits_the_model(monkeypatch):
    from services.trainer.settings import TrainerSettings

    for name in ("MODEL_NAME", "LEARNING_RATE", "MAX_NEW_TOKENS"):
        monkeypatch.delenv(name, raising=False)
    small, large = load("trainer", TrainerSettings), load("trainer", TrainerSettings, ["policy.model=Qwen/Qwen3-0.6B"])
    assert small.learner.learning_rate > 100 * large.learner.learning_rate
    assert small.game.max_new_tokens < large.game.max_new_tokens
    assert (
        load("trainer", TrainerSettings, ["policy.model=x", "learner.learning_rate=0.5"]).learner.learning_rate == 0.5
    )
