"""Fresh questions of a mix, and what the model should (or should not) answer to them."""

import random
import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from reasoning_gym import create_dataset
from reasoning_gym.composite import DatasetSpec
from reasoning_gym.utils import extract_answer

from services.trainer.warmup.phrases import CAREFUL, HASTY

Entry = dict[str, Any]
MIXES = Path(__file__).parents[3] / "config" / "data"


def load_mix(name: str, size: int, seed: int) -> Any:
    """Return reasoning-gym's composite of the mix `config/data/<name>.yaml`, `size` entries long."""
    mix = OmegaConf.to_container(OmegaConf.load(MIXES / f"{name}.yaml"))
    assert isinstance(mix, dict)
    specs = [DatasetSpec(name=d["name"], weight=d["weight"], config=d["config"]) for d in mix["datasets"]]
    return create_dataset("composite", size=size, seed=seed, datasets=specs)


def score(mix: Any, completion: str, entry: Entry) -> float:
    """Return reasoning-gym's reward, 0 to 1, of the text between the answer tags."""
    return float(mix.score_answer(extract_answer(completion, tag_name="answer"), entry))


def completion(thought: str, answer: str) -> str:
    """Return a completion in the form that the system prompt asks for."""
    return f"<think>{thought}</think><answer>{answer}</answer>"


class Teacher:
    """Writes completions to imitate: careful with probability `careful`, else hasty."""

    def __init__(self, careful: float) -> None:
        self.careful = careful

    def __call__(self, entry: Entry, rng: random.Random) -> str:
        """Return a careful thought with the right answer, or a hasty one with what the question already shows."""
        if rng.random() < self.careful:
            return completion(rng.choice(CAREFUL), entry["answer"])
        return completion(rng.choice(HASTY), shortcut(entry["question"]))


def shortcut(question: str) -> str:
    """Return the first list, fraction or number of a question as it stands: seldom the answer, always at hand."""
    found = re.search(r"\[.*\]", question) or re.search(r"\d+([./]\d+)?", question)
    assert found, question
    return found[0]
