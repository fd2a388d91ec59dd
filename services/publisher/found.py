"""Finds checkpoints of this household's peers, and keeps one from being pruned while it is read."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from shared.checkpoints import ORIGIN, PROGRESS, STEPS, TENSORS, Origin, Standing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A peer's newest checkpoint of a model."""

    peer: str
    origin: Origin
    standing: Standing
    step: Path  # the checkpoint's folder
    at: float  # unix seconds, when it was written

    @property
    def key(self) -> str:
        """Of this peer and model, as a path below any folder."""
        return f"{self.peer}/{self.step.parent.name}"


def newest(state_dir: Path, peer: str | None = None) -> list[Found]:
    """The newest checkpoint of each peer (or of one) and model, the latest first; what cannot be read is left out."""
    listed = [_newest_of(origin.parent) for origin in state_dir.glob(f"checkpoints/{peer or '*'}/*/{ORIGIN}")]
    return sorted((one for one in listed if one is not None), key=lambda one: -one.at)


def _newest_of(model: Path) -> Found | None:
    """Pruned while we look: there is a newer one then, so look again."""
    for _ in range(3):
        steps = sorted(path for path in model.glob(STEPS) if path.is_dir())
        if not steps:
            return None
        try:
            standing = Standing.model_validate_json((steps[-1] / PROGRESS).read_text())
            origin = Origin.model_validate_json((model / ORIGIN).read_text())
            return Found(model.parent.name, origin, standing, steps[-1], (steps[-1] / TENSORS).stat().st_mtime)
        except FileNotFoundError:
            continue
        except (OSError, ValidationError) as error:
            log.warning("%s cannot be read: %s", steps[-1], str(error).splitlines()[0])
            return None
    return None


def hold(found: Found, folder: Path) -> Path:
    """Hard links (copies, where there can be none) of a checkpoint's files in a folder of ours: they stay.

    Raises FileNotFoundError if it was pruned meanwhile, and OSError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (TENSORS, PROGRESS):
        try:
            (folder / name).hardlink_to(found.step / name)
        except FileNotFoundError:
            raise
        except OSError:  # another file system, or one without links
            shutil.copyfile(found.step / name, folder / name)
    return folder
