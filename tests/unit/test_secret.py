"""Secrets that are made once, kept for ever, and told to nobody."""

import stat

import pytest

from shared.errors import SettingsError
from shared.secret import ensure_secret, main
from shared.settings import ServiceSettings, load, read_secret


def test_a_secret_is_made_once_and_kept(tmp_path, capsys):
    path = tmp_path / "redis"
    assert main([str(path)]) == 0
    first = path.read_text()
    assert len(first) == 64
    assert set(first) <= set("0123456789abcdef")
    assert main([str(path)]) == 0
    assert path.read_text() == first
    said = capsys.readouterr().out
    assert said.splitlines() == [f"{path}: made", f"{path}: kept"]
    assert first not in said


def test_only_owner_and_group_may_read_it(tmp_path):
    ensure_secret(tmp_path / "redis")
    assert stat.S_IMODE((tmp_path / "redis").stat().st_mode) == 0o440


def test_an_empty_file_left_by_a_full_disk_is_no_secret(tmp_path):
    (tmp_path / "redis").touch()
    assert ensure_secret(tmp_path / "redis")


def test_a_folder_that_is_missing_is_said(tmp_path, capsys):
    assert main([str(tmp_path / "none" / "redis")]) == 1
    assert "Make its folder writable" in capsys.readouterr().err


def test_a_secret_is_read_without_its_newline(tmp_path):
    (tmp_path / "redis").write_text("sesame\n")
    assert read_secret(tmp_path / "redis", "REDIS_PASSWORD_FILE") == "sesame"
    assert read_secret(None, "REDIS_PASSWORD_FILE") is None


def test_a_secret_that_cannot_be_read_is_an_error_that_names_the_variable(tmp_path):
    with pytest.raises(SettingsError, match=r"none cannot be read .* set REDIS_PASSWORD_FILE"):
        read_secret(tmp_path / "none", "REDIS_PASSWORD_FILE")


def test_the_environment_names_the_file_of_the_password(tmp_path, monkeypatch):
    (tmp_path / "redis").write_text("sesame\n")
    assert load("common", ServiceSettings).redis_password() is None
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(tmp_path / "redis"))
    assert load("common", ServiceSettings).redis_password() == "sesame"
