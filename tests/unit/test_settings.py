from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings import ServiceSettings, config_dir, load
from tests.invite_kit import invite_of, text_of

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


def test_an_invite_says_what_the_environment_does_not(monkeypatch):
    from services.coordinator.settings import CoordinatorSettings
    from services.identity.settings import IdentitySettings
    from services.judge.settings import JudgeSettings
    from services.p2p.settings import P2PSettings
    from services.trainer.settings import TrainerSettings

    told = invite_of(mix="six", game="debate", chain_id=7)
    for name in told.variables():
        monkeypatch.setenv(name, "")  # as compose passes on what is not set
    monkeypatch.setenv("SWARM_INVITE", text_of(told))
    coordinator, identity = load("coordinator", CoordinatorSettings), load("identity", IdentitySettings)
    assert (coordinator.chain_url, coordinator.swarm_contract) == (told.chain_url, told.contract)
    assert (coordinator.swarm, coordinator.clock.game, coordinator.invite) == ("meadow", "debate", text_of(told))
    assert (identity.chain_id, identity.swarm_contract) == (7, told.contract)
    assert load("p2p", P2PSettings).initial_peers == told.peers
    assert load("trainer", TrainerSettings).game.name == "debate"
    assert load("judge", JudgeSettings).data == load("judge", JudgeSettings, ["data=six"]).data
    monkeypatch.setenv("CHAIN_URL", "http://127.0.0.1:18545")  # a tunnel's end
    monkeypatch.setenv("DEFAULT_CHAIN_URL", "http://chain:8545")
    monkeypatch.setenv("SWARM_NAME", "moor")
    assert load("coordinator", CoordinatorSettings).chain_url == "http://127.0.0.1:18545"
    assert load("coordinator", CoordinatorSettings).swarm == "moor"


def test_a_stacks_own_chain_is_used_where_neither_environment_nor_invite_names_one(monkeypatch):
    from services.coordinator.settings import CoordinatorSettings

    monkeypatch.setenv("DEFAULT_CHAIN_URL", "http://chain:8545")
    monkeypatch.delenv("CHAIN_URL", raising=False)
    assert load("coordinator", CoordinatorSettings).chain_url == "http://chain:8545"
    monkeypatch.setenv("SWARM_INVITE", text_of(invite_of()))
    assert load("coordinator", CoordinatorSettings).chain_url == "http://203.0.113.7:8545"


def test_a_damaged_invite_ends_every_service_with_one_line(config, monkeypatch):
    monkeypatch.setenv("SWARM_INVITE", text_of(invite_of())[:-1])
    with pytest.raises(SettingsError, match=r"^SWARM_INVITE: this invite is damaged[^\n]*copy all of it[^\n]*$"):
        load("thing", Deep)
    monkeypatch.setenv("SWARM_INVITE", "None")
    assert load("thing", Deep).invite is None
