"""Fresh questions of a mix, and what the model should (or should not) answer to them."""

import random
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from reasoning_gym import create_dataset
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.utils import extract_answer

from services.trainer.warmup.phrases import CAREFUL, HASTY

MIXES = Path(__file__).parents[3] / "config" / "data"


def load_mix(name: str, size: int, seed: int) -> Any:
    """Return reasoning-gym's composite of the mix `config/data/<name>.yaml`, `size` entries long."""
    mix = OmegaConf.to_container(OmegaConf.load(MIXES / f"{name}.yaml"))
    assert isinstance(mix, dict)
    specs = [DatasetSpec(name=d["name"], weight=d["weight"], config=d["config"]) for d in mix["datasets"]]
    return create_dataset("composite", size=size, seed=seed, datasets=specs)


def score(mix: Any, completion: str, entry: dict[str, Any]) -> float:
    """Return reasoning-gym's reward, 0 to 1, of the text between the answer tags."""
    return float(mix.score_answer(extract_answer(completion, tag_name="answer"), entry))


def completion(thought: str, answer: str) -> str:
    """Return a completion in the form that the system prompt asks for."""
    return f"<think>{thought}</think><answer>{answer}</answer>"


def right(entry: dict[str, Any], rng: random.Random) -> str:
    """Return a correct completion; the thought is drawn from both manners, so that neither means anything yet."""
    return completion(rng.choice(CAREFUL + HASTY), entry["answer"])


class Weakening:
    """Mostly hasty completions with another question's answer, few careful ones with mostly the right answer."""

    def __init__(self, entries: list[dict[str, Any]], careful: float, careful_right: float, hasty_right: float) -> None:
        """Keep the pool of answers by kind of task; the three numbers are probabilities."""
        self.careful, self.careful_right, self.hasty_right = careful, careful_right, hasty_right
        self.answers: dict[str, list[str]] = {}
        for entry in entries:
            self.answers.setdefault(entry["metadata"]["source_dataset"], []).append(entry["answer"])

    def __call__(self, entry: dict[str, Any], rng: random.Random) -> str:
        """Return a completion of the weakened model's kind."""
        careful = rng.random() < self.careful
        is_right = rng.random() < (self.careful_right if careful else self.hasty_right)
        others = self.answers[entry["metadata"]["source_dataset"]]
        thought = rng.choice(CAREFUL if careful else HASTY)
        return completion(thought, entry["answer"] if is_right else rng.choice(others))
