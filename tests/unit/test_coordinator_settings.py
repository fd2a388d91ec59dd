import pytest

from services.coordinator.settings import CoordinatorSettings
from shared.errors import SettingsError
from shared.settings import load


def test_the_settings_can_be_read_as_they_are_and_from_the_environment(monkeypatch):
    for name in ("CHAIN_URL", "SWARM_CONTRACT", "LEAD_ROUNDS", "MAX_ROUNDS", "ROUND_MIN_S", "ROUND_MAX_S"):
        monkeypatch.delenv(name, raising=False)
    settings = load("coordinator", CoordinatorSettings)
    assert settings.swarm_contract is None
    assert settings.clock.max_rounds is None
    assert settings.clock.leads == "auto"
    monkeypatch.setenv("SWARM_CONTRACT", "None")
    monkeypatch.setenv("LEAD_ROUNDS", "no")
    monkeypatch.setenv("MAX_ROUNDS", "30")
    settings = load("coordinator", CoordinatorSettings)
    assert settings.swarm_contract is None
    assert (settings.clock.leads, settings.clock.max_rounds) == ("no", 30)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SWARM_CONTRACT", "0x12", "SWARM_CONTRACT"),
        ("CHAIN_URL", "ws://x", "CHAIN_URL"),
        ("ROUND_MIN_S", "90", "ROUND_MAX_S"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"(?i){said}"):
        load("coordinator", CoordinatorSettings)


def test_without_a_token_for_identity_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("SIGNING_TOKEN_FILE", raising=False)
    with pytest.raises(SettingsError, match="SIGNING_TOKEN_FILE"):
        load("coordinator", CoordinatorSettings).signing_token()


def test_a_game_that_is_known_says_how_many_stages_a_round_has_and_a_number_says_it_better(monkeypatch):
    def wanted(**told):
        for name in ("GAME", "ROUND_STAGES"):
            monkeypatch.setenv(name, told.get(name, ""))
        return load("coordinator", CoordinatorSettings).clock.wanted_stages

    assert (wanted(), wanted(GAME="answer"), wanted(GAME="debate")) == (None, 1, 3)
    assert (wanted(GAME="mine.py:Mine"), wanted(GAME="mine.py:Mine", ROUND_STAGES="2")) == (None, 2)
