import stat

import pytest

from services.coordinator.account import load_key
from services.coordinator.settings import CoordinatorSettings
from shared.errors import SettingsError, SwarmError
from shared.settings import load


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "coordinator" / "account.key"
    key = load_key(path)
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_damaged_key_is_refused_and_neither_shown_nor_replaced(tmp_path):
    path = tmp_path / "account.key"
    path.write_text("0xsecret")
    with pytest.raises(SwarmError) as caught:
        load_key(path)
    assert "secret" not in str(caught.value)
    assert path.read_text() == "0xsecret"


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
