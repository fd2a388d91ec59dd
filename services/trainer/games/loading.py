"""Which game is played: one of ours, or one from outside, by the operator's setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.trainer.games.debate.game import DebateGame
from services.trainer.games.game import AnswerGame, Game
from shared.errors import SettingsError
from shared.plugins import load_object

GAMES: dict[str, Callable[..., Game]] = {"answer": AnswerGame, "debate": DebateGame}
ASKED = ("stages", "sample", "score", "hear", "state", "restore")  # of a game


def game_named(name: str) -> Callable[..., Game]:
    """What makes the game: `(policy, tasks, settings, *, peer, seed)`. Raises SettingsError."""
    if name in GAMES:
        return GAMES[name]
    if ":" not in name:
        raise SettingsError(f"there is no game {name!r}", f"set GAME to one of {sorted(GAMES)}, or to file.py:Class")
    found: Any = load_object(name, "the game")
    if missing := [part for part in ASKED if not hasattr(found, part)]:
        raise SettingsError(
            f"the game {name!r} lacks {', '.join(missing)}", "see Game in services/trainer/games/game.py"
        )
    return found  # type: ignore[no-any-return]
