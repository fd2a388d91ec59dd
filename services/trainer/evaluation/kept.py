"""Marks that are kept: the model that training began from answers the same questions the same, every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from services.trainer.evaluation.exam import Marks, Papers
from services.trainer.settings import GameSettings

Answering = Callable[[], dict[str, Marks]]


def kept_or_new(
    folder: Path | None, model: str, questions: Papers, game: GameSettings, seed: int, answering: Answering
) -> dict[str, Marks]:
    """The marks in the folder of the same exam of the same files; else those of `answering`, which are then kept.

    `folder` None keeps nothing. Raises OSError.
    """
    if folder is None:
        return answering()
    path = folder / f"{exam_key(model, questions, game, seed)}.json"
    try:
        return {name: Marks(tuple(one[0]), tuple(one[1])) for name, one in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        marks = answering()
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps({name: [one.passed, one.rewards] for name, one in marks.items()}))
    partial.replace(path)
    return marks


def exam_key(model: str, questions: Papers, game: GameSettings, seed: int) -> str:
    """Another one for other files of the model, other questions, other sampling."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(Path(model).glob("*.*"))]
    told: Mapping[str, object] = {
        "model": model,
        "files": files,
        "questions": {name: [question.text for question in asked] for name, asked in questions.items()},
        "game": game.model_dump(mode="json"),
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
