"""Weights & Biases: a run of a peer, kept on the disk (`wandb sync` sends it later) or sent as it goes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from services.trainer.tracking.tracker import Point
from shared.errors import SettingsError


class WandbRun:
    """A `Tracker`. The package is imported, and its own process started, with the first point."""

    def __init__(self, folder: Path, *, mode: str, project: str, name: str, config: dict[str, Any]) -> None:
        """Raises SettingsError where the package is not installed."""
        if find_spec("wandb") is None:
            raise SettingsError(
                f"WANDB={mode}, and the package wandb is not installed",
                "pip install 'rlswarm[tracking]' (images: build with EXTRAS=tracking), or unset WANDB",
            )
        self._folder = folder
        self._told: dict[str, Any] = {"mode": mode, "project": project, "name": name, "config": config}
        self._run: Any = None

    def write(self, point: Point) -> None:
        """See `Tracker.write`."""
        if self._run is None:
            self._run = self._begin()
        self._run.log({"round": point.round, **point.values})

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._run is not None:
            self._run.finish()

    def _begin(self) -> Any:
        import wandb  # noqa: PLC0415 - seconds, and only for those who asked

        self._folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True)
        run = wandb.init(dir=str(self._folder), settings=settings, **self._told)
        run.define_metric("*", step_metric="round")
        return run
