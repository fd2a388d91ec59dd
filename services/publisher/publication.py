"""What stands in a published repository for programs: rlswarm.json. By it a repository is known again as one's own."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.checkpoints import Lineage, Origin

PUBLICATION = "rlswarm.json"


class Publication(BaseModel):
    """One published checkpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peer: str
    name: str  # of the peer, for people
    swarm: str  # its name
    chain_id: int | None
    contract: str | None
    model: str  # the base model: its name on the hub, `embedded`, or what its folder is called
    round: int
    step: int
    sha256: str  # of the trainer's file
    mix: str
    score: float | None  # mean reward on held-out questions, see `Evaluation.score`; None: not evaluated
    lineage: Lineage
    parents: tuple[str, ...] = ()  # what a merged model was made of
    origin: Origin | None = None  # without places on the machine that trained it


def read_publication(folder: Path) -> Publication | None:
    """Of a repository's folder; None if it has none. Raises ValueError if it cannot be read."""
    try:
        return Publication.model_validate_json((folder / PUBLICATION).read_text())
    except FileNotFoundError:
        return None
