"""Figures: written where asked, the same file for the same figure, and a remedy where there is nothing to draw with."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.trainer.tracking.canvas import canvas, save
from shared.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]


def _plot(path: Path) -> bytes:
    figure = canvas(4, 3)
    figure.subplots().plot([1, 2, 3])
    save(figure, path)
    return path.read_bytes()


def test_the_same_figure_is_the_same_svg(tmp_path):
    assert _plot(tmp_path / "a.svg") == _plot(tmp_path / "b.svg")


def test_the_name_decides_the_form(tmp_path):
    assert _plot(tmp_path / "a.png").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["missing/a.svg", "a.wrong"])
def test_a_file_that_cannot_be_written_is_named_with_the_remedy(tmp_path, name):
    with pytest.raises(SettingsError, match="cannot be written"):
        _plot(tmp_path / name)


def test_where_only_the_stand_in_is_installed_the_error_says_what_to_do():
    code = "from services.trainer.tracking.canvas import canvas; canvas(4, 3)"
    place = {"PYTHONPATH": f"{ROOT / 'vendor' / 'matplotlib'}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], check=False, env=place, capture_output=True, text=True)
    assert "pip install 'rlswarm[plots]'" in done.stderr
