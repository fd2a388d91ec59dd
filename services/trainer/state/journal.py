"""What a round decides that does not follow from (seed, peer, step): written down before it takes effect.

    <state>/checkpoints/<peer>/<model>/round.json

How many questions there was time for, and whose rollouts had come when the exchange ended. A trainer that is killed in
the middle of a round finds it here and decides the same again, though there is less time now and more has come: it
sends the same messages under the same keys, and its weights become what they would have been.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.trainer.state.checkpoint import flush
from shared.messages import PeerId, Round

log = logging.getLogger(__name__)


class Decided(BaseModel):
    """What was decided in one stage of a round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    questions: int  # asked
    peers: tuple[PeerId, ...] | None = None  # learnt from, in the order they were scored; None: not decided yet


class Page(BaseModel):
    """All that was decided since the last checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = -1  # see `Progress.step`
    swarm: str = ""
    rounds: dict[str, Decided] = {}  # by `Round.key`


class Journal:
    """The decisions of one peer and one model, as far as they are not part of a checkpoint yet."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "round.json"
        self._page = _read(self._path)

    def decided(self, step: int, round_: Round) -> Decided | None:
        """What this step decided in this round before it was cut short; None: nothing."""
        if (self._page.step, self._page.swarm) != (step, round_.swarm):
            return None
        return self._page.rounds.get(round_.key)

    def peers(self, step: int, round_: Round) -> tuple[str, ...] | None:
        """Whose rollouts this step took in this round before it was cut short; None: that was not decided."""
        decided = self.decided(step, round_)
        return decided.peers if decided else None

    def write_peers(self, step: int, round_: Round, peers: tuple[str, ...]) -> None:
        """Remember whose rollouts are learnt from, in this order."""
        if (decided := self.decided(step, round_)) is not None:
            self.write(step, round_, decided.model_copy(update={"peers": peers}))

    def write(self, step: int, round_: Round, decided: Decided) -> None:
        """Remember, through kill -9 and a power cut. A full disk costs the exact repetition, not the run."""
        same = (self._page.step, self._page.swarm) == (step, round_.swarm)
        rounds = {**(self._page.rounds if same else {}), round_.key: decided}
        self._page = Page(step=step, swarm=round_.swarm, rounds=rounds)
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(self._page.model_dump_json())
            flush(beside)
            beside.replace(self._path)
        except OSError as error:
            log.warning("%s is not written (%s): a crash now may repeat the round differently", self._path, error)


def _read(path: Path) -> Page:
    try:
        return Page.model_validate_json(path.read_text())
    except FileNotFoundError:
        return Page()
    except (OSError, ValidationError) as error:
        log.warning("%s cannot be read (%s): a round that was cut short may be repeated differently", path, error)
        return Page()
