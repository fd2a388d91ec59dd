"""Which trackers a trainer has: those its settings ask for."""

from __future__ import annotations

from services.trainer.settings import TrainerSettings
from services.trainer.tracking.history import HistoryFile
from services.trainer.tracking.tensorboard import EventFiles
from services.trainer.tracking.tracker import Tracker
from services.trainer.tracking.wandb_run import WandbRun
from shared.names import name_of


def trackers_of(settings: TrainerSettings, peer: str) -> dict[str, Tracker]:
    """By name. Raises SettingsError for one that cannot work here."""
    state, asked = settings.state_dir, settings.tracking
    found: dict[str, Tracker] = {"history": HistoryFile(state / "history", peer)}
    if asked.tensorboard:
        found["tensorboard"] = EventFiles(state / "tensorboard" / peer)
    if asked.wandb != "off":
        config = settings.model_dump(mode="json", include={"policy", "game", "learner", "data", "questions", "seed"})
        config["policy"].pop("hf_token")
        name = name_of(peer).replace(" ", "-")
        found["wandb"] = WandbRun(state / "wandb", mode=asked.wandb, project=settings.swarm, name=name, config=config)
    return found
