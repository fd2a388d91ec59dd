"""What a peer's repository on the hub is called. Pure."""

from __future__ import annotations

import re
from pathlib import PurePath

from shared.names import name_of

LONGEST = 96  # characters of a repository's name that the hub takes
BUILT_IN = "embedded"  # what MODEL_NAME says for the model that comes with the software
TAGS = ("rl-swarm", "genrl-swarm", "grpo", "gensyn", "trl")  # by which RL Swarm's models are found on the hub


def repository(model: str, infix: str, peer: str, *, taken: bool = False) -> str:
    """`<model>-<infix>-<adjective>_<adjective>_<animal>`; `taken`: another peer of that animal name has it already."""
    tail = "-".join([infix, name_of(peer, "_"), *([peer[-6:]] if taken else [])])
    head = short(model)[: LONGEST - len(tail) - 1].rstrip("-.")
    return f"{head}-{tail}"


def repositories(owner: str, model: str, infix: str, peer: str) -> list[str]:
    """What a peer's repository may be called, with its owner: the second where the first is another peer's."""
    return [f"{owner}/{repository(model, infix, peer, taken=taken)}" for taken in (False, True)]


def short(model: str) -> str:
    """A model's name without its owner or folder, as a repository may be called."""
    name = "rlswarm-embedded" if model == BUILT_IN else PurePath(model).name
    return re.sub(r"-{2,}|\.{2,}", "-", re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII)).strip("-.") or "model"


def on_hub(model: str, *, is_folder: bool) -> str | None:
    """The hub's name of a model; None of one that does not come from there."""
    return model if model.count("/") == 1 and not is_folder else None


def commit_message(number: int, peer: str) -> str:
    """As RL Swarm's nodes write it."""
    return f"rl-swarm: round {number}, agent {name_of(peer)}"
