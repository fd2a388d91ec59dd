"""Figures for people, drawn by matplotlib. Container images carry none, so it is imported when one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import SettingsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many inches. Raises SettingsError where there is nothing to draw with.

    Free of pyplot's global state: it needs no display and dies with its last reference.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that only plots need
    except ImportError as error:
        raise SettingsError(
            "there is no matplotlib here to draw with (the container images carry none)",
            "pip install 'rlswarm[plots]', or ask for JSON and draw elsewhere",
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, which the end of the name decides; equal figures give equal SVG files.

    Raises SettingsError if the name ends otherwise or the file cannot be written.
    """
    from matplotlib import rc_context  # noqa: PLC0415 - see `canvas`

    metadata = {"Date": None} if path.suffix == ".svg" else None
    try:
        with rc_context({"svg.hashsalt": "rlswarm"}):
            figure.savefig(path, dpi=150, metadata=metadata)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the plot {path} cannot be written: {error}", "name a file in a folder that exists, ending in .svg or .png"
        ) from error
